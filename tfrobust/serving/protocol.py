"""TF Serving's protocol for clients: the messages of protos/, without TensorFlow.

They live in a pool of descriptors of their own. In protobuf's default pool TensorFlow, where a
program imports it too, describes messages of the same names.
"""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_POOL = descriptor_pool.DescriptorPool()
# protoc made it of the .proto files beside it. A test makes it again.
_DESCRIBED = Path(__file__).with_name("protos") / "protos.binpb"
for _file in descriptor_pb2.FileDescriptorSet.FromString(_DESCRIBED.read_bytes()).file:
    _POOL.Add(_file)


# Any: which fields a message has is known when the program runs.
def message(name: str) -> Any:
    """The class of a message.

    Args:
        name: its full name, as "tensorflow.TensorProto".
    """
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def name_of(number: int, enum: str) -> str:
    """The name of a number in an enum, and the number itself where the enum has none for it.

    Args:
        number: as it came.
        enum: the enum's full name, as "tensorflow.DataType".
    """
    values = _POOL.FindEnumTypeByName(enum).values_by_number
    return values[number].name if number in values else str(number)


def method(channel: Any, name: str) -> Any:
    """A method of a service, to be called with its request.

    Args:
        channel: of grpc or of grpc.aio.
        name: its full name, as "tensorflow.serving.PredictionService.Predict".
    """
    found = _POOL.FindMethodByName(name)
    return channel.unary_unary(
        f"/{found.containing_service.full_name}/{found.name}",
        request_serializer=message_factory.GetMessageClass(found.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
    )
