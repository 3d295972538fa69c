"""The messages of the client, beside TensorFlow's and TF Serving's own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from tfrobust.errors import InputError
from tfrobust.serving import dtypes, protocol, tensors
from tfrobust.serving.dtypes import DTYPES

PROTOS = Path(protocol.__file__).parent / "protos"
# Files that describe what ours do.
THEIRS = (tensor_pb2, types_pb2, meta_graph_pb2, model_service_pb2, prediction_service_pb2)
NUMBERS = [name for name in DTYPES.values() if name != "string"]


def described() -> list[descriptor_pb2.FileDescriptorProto]:
    """Our two files, as they were compiled."""
    data = (PROTOS / "protos.binpb").read_bytes()
    found = descriptor_pb2.FileDescriptorSet.FromString(data).file
    return [one for one in found if one.package.startswith("tensorflow")]


def test_the_compiled_messages_are_those_of_the_proto_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports"]
    files = sorted(path.name for path in PROTOS.glob("*.proto"))
    subprocess.run(
        [*command, f"--descriptor_set_out={tmp_path / 'made'}", *files], cwd=PROTOS, check=True
    )
    made = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "made").read_bytes()).file
    assert [one for one in made if one.package.startswith("tensorflow")] == described()


def test_names_and_numbers_are_those_of_the_wire() -> None:
    pool = descriptor_pool.Default()
    seen = 0

    def agree(ours: descriptor_pb2.DescriptorProto, name: str) -> None:
        nonlocal seen
        theirs = descriptor_pb2.DescriptorProto()
        pool.FindMessageTypeByName(name).CopyToProto(theirs)
        wire = {field.name: field for field in theirs.field}
        for field in ours.field:
            for what in ("number", "type", "label", "type_name"):
                assert getattr(field, what) == getattr(wire[field.name], what), (name, field.name)
            seen += 1
        for inner in ours.nested_type:
            agree(inner, f"{name}.{inner.name}")

    for file in described():
        for message in file.message_type:
            agree(message, f"{file.package}.{message.name}")
        enums = [(file.package, one) for one in file.enum_type] + [
            (f"{file.package}.{message.name}", one)
            for message in file.message_type
            for one in message.enum_type
        ]
        for package, enum in enums:
            theirs = pool.FindEnumTypeByName(f"{package}.{enum.name}").values_by_name
            for value in enum.value:
                assert theirs[value.name].number == value.number
        for service in file.service:
            methods = pool.FindServiceByName(f"{file.package}.{service.name}").methods_by_name
            for method in service.method:
                assert f".{methods[method.name].input_type.full_name}" == method.input_type
                assert f".{methods[method.name].output_type.full_name}" == method.output_type
    assert seen > 30


@pytest.mark.slow
def test_tensorflow_finds_the_protocol_imported_before_it() -> None:
    """protobuf's default pool takes one description of a name only."""
    code = (
        "from tfrobust.serving import protocol; protocol.message('tensorflow.TensorProto')();"
        "from tensorflow.core.framework import tensor_pb2; tensor_pb2.TensorProto(version_number=1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def numbers(name: str) -> np.ndarray:
    found = np.random.default_rng(0).uniform(0, 100, (2, 3)).astype(name)
    found[0, 0] = 0
    return found


@pytest.mark.parametrize("name", NUMBERS)
def test_arrays_are_those_of_tensorflow(name: str) -> None:
    value = numbers(name)
    ours = protocol.message("tensorflow.TensorProto")()
    tensors.fill(ours, value)
    sent = tf.make_ndarray(tensor_pb2.TensorProto.FromString(ours.SerializeToString()))
    assert sent.dtype == value.dtype
    np.testing.assert_array_equal(sent, value)

    theirs = tf.make_tensor_proto(value)
    content = type(ours).FromString(theirs.SerializeToString())
    # As TF Serving answers: number by number.
    theirs = one_by_one(value)
    np.testing.assert_array_equal(tf.make_ndarray(theirs), value)
    listed = type(ours).FromString(theirs.SerializeToString())
    for told in (content, listed):
        found = tensors.array(told)
        assert found.dtype == value.dtype and found.flags.writeable
        np.testing.assert_array_equal(found, value)


def one_by_one(value: np.ndarray) -> tensor_pb2.TensorProto:
    """An array without tensor_content; make_tensor_proto writes a scalar so."""
    found = tf.make_tensor_proto(value.ravel()[0])
    for one in value.ravel()[1:]:
        found.MergeFrom(tf.make_tensor_proto(one))
    found.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    return found


@pytest.mark.parametrize("order", ["<f4", ">f4"])
def test_the_order_of_bytes_does_not_matter(order: str) -> None:
    ours = protocol.message("tensorflow.TensorProto")()
    tensors.fill(ours, np.array([[1, 2], [3, 4]], order).T)
    np.testing.assert_array_equal(tensors.array(ours), np.float32([[1, 3], [2, 4]]))


def test_strings() -> None:
    ours = protocol.message("tensorflow.TensorProto")()
    tensors.fill(ours, np.array([["é", "b"]]))
    assert tensors.array(ours).tolist() == [["é".encode(), b"b"]]
    assert tensors.array(ours).dtype == object


def test_an_array_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected an array of float32, .* got complex64"):
        tensors.fill(protocol.message("tensorflow.TensorProto")(), np.zeros(2, np.complex64))


@pytest.mark.parametrize(
    ("sizes", "values", "said"),
    [
        ([2**40], [0.5], r"shape \(1099511627776,\) that carries 1 values"),
        ([2], [], r"shape \(2,\) that carries 0 values"),
        ([-1, -1], [0.5], r"shape \(-1, -1\)"),
        ([1], [0.5, 0.5], r"shape \(1,\) that carries 2 values"),
    ],
)
def test_an_answer_that_announces_what_it_does_not_carry(
    sizes: list[int], values: list[float], said: str
) -> None:
    told = protocol.message("tensorflow.TensorProto")(dtype=1, float_val=values)
    for size in sizes:
        told.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match=said):
        tensors.array(told)


@pytest.mark.parametrize(
    ("number", "name"), [(8, "complex64"), (14, "bfloat16"), (24, "float8_e5m2"), (99, "99")]
)
def test_a_type_that_no_array_of_ours_has(number: int, name: str) -> None:
    told = protocol.message("tensorflow.TensorProto")(dtype=number)
    with pytest.raises(ValueError, match=f"a tensor of {name}, which this client does not read"):
        tensors.array(told)


def test_types_have_tensorflows_names() -> None:
    named = protocol.message("tensorflow.TensorProto").DESCRIPTOR.fields_by_name["dtype"].enum_type
    for told in named.values[1:]:
        assert dtypes.dtype_name(told.name) == tf.dtypes.as_dtype(told.number).name
    assert len(named.values) > 24


@pytest.mark.parametrize(
    ("dtype", "field", "number"),
    [
        ("DT_INT8", "int_val", 128),
        ("DT_UINT8", "int_val", -1),
        ("DT_INT16", "int_val", -(2**15) - 1),
        ("DT_UINT16", "int_val", 2**16),
        ("DT_HALF", "half_val", 2**16),
        ("DT_HALF", "half_val", -1),
    ],
)
def test_numbers_out_of_range_are_not_wrapped(dtype: str, field: str, number: int) -> None:
    told = protocol.message("tensorflow.TensorProto")()
    told.MergeFrom(type(told)(dtype=dtype, **{field: [1, number]}))
    told.tensor_shape.dim.add(size=2)
    with pytest.raises(ValueError, match=f"expected numbers that u?int.* has, got {number}"):
        tensors.array(told)
