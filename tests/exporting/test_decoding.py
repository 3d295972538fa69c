"""Files decoded inside a graph against the same files read by Pillow."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfrobust.datasets import pictures
from tfrobust.exporting.decoding import decoded

rng = np.random.default_rng(0)


def smooth(height: int, width: int, channels: int) -> np.ndarray:
    """A picture with gradients, edges and a little noise: uint8 (h, w, c)."""
    rows, columns = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(rows / (5 + one) + columns / (9 - one)) for one in range(channels)]
    values = np.stack(waves, axis=-1) + rng.normal(0, 3, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)


def file_of(pixels: np.ndarray, kind: str, mode: str | None = None) -> bytes:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, mode)
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return file.getvalue()


def graph(size: tuple[int, int], channels: int):
    return tf.function(
        lambda files: decoded(files, size, channels),
        input_signature=[tf.TensorSpec((None,), tf.string)],
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_like_the_files_that_programs_read(kind: str, channels: int, tmp_path: Path) -> None:
    shapes = [(32, 32, 3), (61, 90, 3), (90, 61, 1), (20, 17, 1)]
    files = [file_of(smooth(*shape), kind) for shape in shapes]
    images = graph((32, 32), channels)(tf.constant(files)).numpy()
    assert images.shape == (4, 32, 32, channels)
    for number, file in enumerate(files):
        path = tmp_path / f"{number}.{kind.lower()}"
        path.write_bytes(file)
        expected = pictures.fit(pictures.read(path, channels), (32, 32)) / 255
        # Both round after decoding, and Pillow once more between rows and columns. JPEG decoders
        # also differ by a step or two.
        off = np.abs(images[number] - expected) * 255
        assert off.max() <= (2.01 if kind == "PNG" else 4.01) and off.mean() < 0.6


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pixels = np.dstack([smooth(32, 32, 3), np.linspace(0, 255, 1024).reshape(32, 32)])
    file = file_of(pixels.astype(np.uint8), "PNG", "RGBA")
    (tmp_path / "x.png").write_bytes(file)
    images = graph((32, 32), 3)(tf.constant([file])).numpy()
    expected = pictures.read(tmp_path / "x.png", 3)
    assert np.abs(images[0] * 255 - expected).max() <= 1.01


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "PNG or JPEG"),
        (b"GIF89a" + bytes(40), "PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG or JPEG"),
        (bomb(40_000, 40_000), "at most 50000000 pixels"),
        (bomb(2**31, 2**31), "at most 50000000 pixels"),
        (bomb(0, 5), "at most 50000000 pixels"),
        (file_of(smooth(40, 40, 3), "PNG")[:600], ""),
        (file_of(smooth(40, 40, 3), "JPEG")[:300], ""),
        (b"\xff\xd8\xff" + bytes(30), ""),
    ],
)
def test_what_is_no_picture_is_an_invalid_argument(file: bytes, said: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=said or None):
        graph((8, 8), 3)(tf.constant([file]))


def test_no_files() -> None:
    assert graph((8, 8), 3)(tf.constant([], tf.string)).shape == (0, 8, 8, 3)
