"""What a result came from: package versions, the machine, and the hash of the images."""

import hashlib
import importlib.metadata
import os
import platform
from pathlib import Path

import numpy as np

import tfrobust
from tfrobust.errors import InputError

# The packages beside our own whose code decides what a result is. There is no other list of them.
PACKAGES = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "tensorflow-datasets",
    "cleverhans",
    "tf-explain",
    "onnx",
    "onnxruntime",
    "tf2onnx",
)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide what a result is.

    Returns:
        Name → version, Python and tfrobust first. A package is left out if it has no metadata of
        its own: tensorflow-cpu installs the module `tensorflow` under another name, for instance.
    """
    # Our own is asked of the code that runs: the metadata of a clone may be older.
    found = {"python": platform.python_version(), "tfrobust": tfrobust.__version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The processors that TensorFlow can use, in words.

    Returns:
        The names of the GPUs; where there is none, the number of CPU cores and their kind, such
        as "2 CPU cores, x86_64".
    """
    import tensorflow as tf  # here, so that programs can import this module before TensorFlow

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return ", ".join(gpus) or f"{os.cpu_count()} CPU cores, {platform.machine()}"


def file_hashes(path: Path) -> dict[str, str]:
    """A hash of a file, or of each file below a folder.

    Args:
        path: of a file or a folder that exists.

    Returns:
        For each file its name, relative to the folder and with "/", and the SHA-256 of its bytes
        as 64 hexadecimal digits.

    Raises:
        InputError: below the folder is a link to a folder, a broken link, a pipe or a device.
    """
    if path.is_file():
        files = {path.name: path}
    else:
        found = sorted(
            Path(folder, one)
            for folder, folders, some in os.walk(path)
            for one in (*some, *(one for one in folders if Path(folder, one).is_symlink()))
        )
        files = {file.relative_to(path).as_posix(): file for file in found}
    hashes = {}
    for name, file in files.items():
        if not file.is_file():
            # Left out, what a link leads to could change unnoticed.
            raise InputError(
                f"expected only files and folders in {path}, but {name} is a link to a folder or "
                "to nothing, a pipe or a device; put the files themselves there"
            )
        with file.open("rb") as opened:
            hashes[name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return hashes


def image_hash(images: np.ndarray, labels: np.ndarray) -> str:
    """A hash that is equal for equal images with equal labels.

    Args:
        images: any array; its shape and dtype count as well as its values.
        labels: likewise.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for values in (images, labels):
        digest.update(f"{values.dtype.str}{values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
