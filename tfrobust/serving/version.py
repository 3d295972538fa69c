"""One loaded version of a model."""

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SAVED_MODEL = "saved_model.pb"
LABELS, SAMPLES = "assets.extra/labels.txt", "assets.extra/samples"


class Version:
    """One loaded version of a model.

    Args:
        folder: holds the SavedModel; its name is the version's number.

    Attributes:
        number: the version's number.
        signatures: name → SignatureDef of each signature that answers something.
        inputs: the signature's name → the input's name → TensorSpec.
    """

    def __init__(self, folder: Path) -> None:
        self.number = int(folder.name)
        self._folder = folder
        proto = saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL).read_bytes())
        self._loaded = tf.saved_model.load(str(folder))
        self.signatures = {
            name: definition
            for name, definition in proto.meta_graphs[0].signature_def.items()
            if name in self._loaded.signatures
        }
        self.inputs = {
            name: {
                key: tf.TensorSpec(one.tensor_shape, tf.dtypes.as_dtype(one.dtype), key)
                for key, one in definition.inputs.items()
            }
            for name, definition in self.signatures.items()
        }

    @property
    def labels(self) -> list[str]:
        """The names of the classes; empty if the export does not give them."""
        try:
            return (self._folder / LABELS).read_text().splitlines()
        except OSError:
            return []

    @property
    def samples(self) -> list[bytes]:
        """PNG files of the sample pictures; empty if the export has none."""
        return [path.read_bytes() for path in sorted((self._folder / SAMPLES).glob("*.png"))]

    def run(self, signature: str, inputs: dict[str, Any]) -> dict[str, tf.Tensor]:
        """Calls a signature: named tensors in, named tensors out."""
        return dict(self._loaded.signatures[signature](**inputs))

    def is_by_image(self, signature: str) -> bool:
        """Whether images can be asked for in any number of calls.

        Files cannot: what a batch of them may take is bounded as a whole, inside the model.
        """
        outputs = self.signatures[signature].outputs.values()
        return all(
            is_batched(spec) and spec.dtype != tf.string for spec in self.inputs[signature].values()
        ) and all(is_batched(tf.TensorSpec(one.tensor_shape)) for one in outputs)


def is_batched(spec: tf.TensorSpec) -> bool:
    """Whether a tensor may have any number of images in front."""
    return spec.shape.rank is None or (spec.shape.rank > 0 and spec.shape[0] is None)


def fingerprint(folder: Path) -> frozenset[tuple[str, int, int]]:
    """What changes when files of a folder are written: their names, sizes and times."""
    found = set()
    for path in folder.rglob("*"):
        try:
            told = path.stat()
        except OSError:  # It vanished meanwhile.
            continue
        found.add((str(path.relative_to(folder)), told.st_size, told.st_mtime_ns))
    return frozenset(found)
