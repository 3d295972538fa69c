"""Files decoded inside a graph: the same pixels as folders and programs read, or a refusal."""

import functools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import programs
import pytest
import tensorflow as tf
from picture_files import PictureFile, all_files, chunk, png, saved, scene
from PIL import Image

from tfrobust.datasets import pictures
from tfrobust.datasets.resizing import fit
from tfrobust.exporting.decoding import decoded

FILES = all_files()
SIZE = (16, 12)


@functools.cache  # to trace takes a second
def graph(
    size: tuple[int, int], channels: int, bits: int | None = None, how: str = "crop"
) -> Callable:
    return tf.function(
        lambda files: decoded(files, size, channels, bits, how),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@pytest.fixture(scope="module", params=[1, 3])
def decoder(request: pytest.FixtureRequest) -> tuple[Callable, int]:
    return graph(SIZE, request.param), request.param


def in_bytes(images: tf.Tensor) -> np.ndarray:
    return np.rint(images.numpy() * 255).astype(np.uint8)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_table_of_files(file: PictureFile, decoder: tuple[Callable, int]) -> None:
    function, channels = decoder
    if not file.in_graph:
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="other formats, such as DICOM, must be converted"
        ):
            function(tf.constant([file.content]))
        return
    (image,) = in_bytes(function(tf.constant([file.content])))
    np.testing.assert_array_equal(image, fit(pictures.decode(file.content, channels), SIZE))


def test_many_files_at_once_in_a_session(tmp_path: Path) -> None:
    """The way of TF Serving's C++, which loads by the first API."""
    module = tf.Module()
    module.decode = graph(SIZE, 3)
    tf.saved_model.save(module, str(tmp_path), signatures={"decode": module.decode})
    files = [file for file in FILES if file.in_graph]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path))
        signature = model.signature_def["decode"]
        (taken,), (given,) = signature.inputs.values(), signature.outputs.values()
        contents = np.array([file.content for file in files], object)
        images = session.run(given.name, {taken.name: contents})
    for file, image in zip(files, np.rint(images * 255), strict=True):
        np.testing.assert_array_equal(image, fit(file.pixels, SIZE), err_msg=file.name)


@pytest.mark.parametrize("how", ["crop", "letterbox"])
def test_any_size_fits_any_other_as_pillow_does(how: str) -> None:
    random = np.random.default_rng(0)
    for size in ((8, 8), (97, 40)):
        function = graph(size, 3, how=how)
        shapes = [tuple(random.integers(1, 130, 2)) for _ in range(12)] + [(1, 4000), (4000, 1)]
        images = [random.integers(0, 256, (*shape, 3)).astype(np.uint8) for shape in shapes]
        files = [saved(Image.fromarray(image), "PNG") for image in images]
        for image, found in zip(images, in_bytes(function(tf.constant(files))), strict=True):
            np.testing.assert_array_equal(found, fit(image, size, how))


def test_bits_of_a_model_are_those_of_its_training_images() -> None:
    samples = np.arange(12).reshape(3, 4) * 250
    content = png(samples, 16, 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="told by `bits`"):
        graph((3, 4), 1)(tf.constant([content]))
    (image,) = in_bytes(graph((3, 4), 1, 12)(tf.constant([content])))
    np.testing.assert_array_equal(image, pictures.decode(content, 1, bits=12))
    with pytest.raises(tf.errors.InvalidArgumentError, match="of which 10 bits carry"):
        graph((3, 4), 1, 10)(tf.constant([content]))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "expected a PNG or JPEG file"),
        (b"GIF89a" + bytes(40), "expected a PNG or JPEG file"),
        (b"\x89PNG\r\n\x1a\n", "expected a PNG or JPEG file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20 * 2**20), "at most 20971520 bytes"),
        (bomb(40_000, 40_000), "at most 50000000 pixels"),
        (bomb(2**31, 2**31), "at most 50000000 pixels"),
        (bomb(2**32 - 1, 2**32 - 1), "at most 50000000 pixels"),
        (bomb(0, 5), "at most 50000000 pixels"),
        (saved(Image.fromarray(scene()), "PNG")[:600], "Invalid PNG"),
        (saved(Image.fromarray(scene()), "JPEG")[:-300], "Invalid JPEG"),
        (b"\xff\xd8\xff" + bytes(30), "Invalid JPEG"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 2000, "Invalid JPEG"),
        (
            png(scene(), 8, 2, extra=chunk(b"tEXt", b"a\0b") * 2000),
            "at most 1000 chunks or segments",
        ),
    ],
)
def test_what_is_no_picture_is_an_invalid_argument(file: bytes, said: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        graph(SIZE, 3)(tf.constant([file]))


def test_no_files() -> None:
    assert graph(SIZE, 3)(tf.constant([], tf.string)).shape == (0, *SIZE, 3)


def test_a_batch_has_a_budget_of_pixels() -> None:
    files = [bomb(7000, 7000)] * 5
    with pytest.raises(tf.errors.InvalidArgumentError, match="200000000 pixels in all pictures"):
        graph(SIZE, 3)(tf.constant(files))


MEASURE = """
import resource, sys
import numpy as np, tensorflow as tf
folder, small, *large = sys.argv[1:]
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    model = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    signature = model.signature_def["decode"]
    (taken,), (given,) = signature.inputs.values(), signature.outputs.values()
    def decode(*paths):
        files = np.array([open(path, "rb").read() for path in paths], object)
        session.run(given.name, {taken.name: files})
    def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    decode(small)
    before = peak()
    decode(*large)
    print(peak() - before)
"""


@pytest.mark.parametrize(
    ("side", "mode", "count", "mebibytes"),
    [
        # One decoded picture in colour takes 72 MiB, its grey 24, and the parts of that as much
        # again; with both at once in wide numbers it would be 1,300.
        (5000, "L", 2, 400),
        pytest.param(7000, "L", 3, 800, marks=pytest.mark.slow),
        pytest.param(7000, "RGBA", 3, 800, marks=pytest.mark.slow),
        # Four channels of 16 bits: 374 MiB decoded.
        pytest.param(7000, "I;16", 3, 1000, marks=pytest.mark.slow),
    ],
)
def test_memory_is_bounded_as_tf_serving_runs_it(
    tmp_path: Path, side: int, mode: str, count: int, mebibytes: int
) -> None:
    module = tf.Module()
    module.decode = graph((28, 28), 1)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"decode": module.decode})
    (tmp_path / "small.png").write_bytes(saved(Image.new("L", (28, 28)), "PNG"))
    (tmp_path / "large.png").write_bytes(saved(Image.new(mode, (side, side)), "PNG"))
    paths = [str(tmp_path / name) for name in ("model", "small.png", *["large.png"] * count)]
    (tmp_path / "measure.py").write_text(MEASURE)
    done = programs.run([tmp_path / "measure.py", *paths])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < mebibytes
