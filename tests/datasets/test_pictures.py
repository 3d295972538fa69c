"""One picture file: the table of files, and what is refused."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from picture_files import PictureFile, all_files, chunk, exif, png, saved, scene
from PIL import Image

from tfrobust.datasets import pictures
from tfrobust.datasets.headers import PictureError

FILES = all_files()


def luma(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_table_of_files(file: PictureFile, tmp_path: Path) -> None:
    path = tmp_path / file.name
    path.write_bytes(file.content)
    colours = pictures.read(path, 3)
    np.testing.assert_array_equal(colours, file.pixels)
    np.testing.assert_array_equal(pictures.read(path, 1), luma(colours))
    header = pictures.inspect(path)
    assert (header.height, header.width) == file.pixels.shape[:2]
    if header.grey:
        np.testing.assert_array_equal(colours, colours[..., :1].repeat(3, -1))


def test_headers_tell_grey_and_transparent(tmp_path: Path) -> None:
    for name, content, _, _ in FILES:
        (tmp_path / name).write_bytes(content)
        header = pictures.inspect(tmp_path / name)
        is_grey = "grey" in name or "16 bits black" in name or "12 bits that" in name
        is_grey |= name in (
            "16 bits negative.tif",
            "black and white.tif",
            "dark 12 bits that fill 16.png",
        )
        assert header.grey == is_grey, name
        assert header.transparent == ("transparent" in name or "alpha" in name), name


def dark(largest: int = 3071) -> np.ndarray:
    samples = np.arange(12).reshape(3, 4) * 7
    samples[-1, -1] = largest
    return samples


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_twelve_of_sixteen_bits_are_asked_about(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    Image.fromarray(dark().astype(np.uint16)).save(path)
    with pytest.raises(PictureError, match=r"told by `bits` .* the largest sample is 3071"):
        pictures.read(path, 1)
    expected = np.rint(dark() * 255 / 4095)[..., None]
    np.testing.assert_array_equal(pictures.read(path, 1, bits=12), expected)
    np.testing.assert_array_equal(pictures.read(path, 1, bits=16), np.rint(dark() / 257)[..., None])
    with pytest.raises(PictureError, match=r"of which 10 bits carry the picture.* 3071"):
        pictures.read(path, 1, bits=10)


def test_colour_tiff_of_twelve_bits_is_refused_in_words(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "x.tif"
    for largest, bits in ((4095, None), (4095, 12), (65_535, 12)):
        samples = np.full((4, 5, 3), largest, np.uint16)
        assert cv2.imwrite(str(path), samples)
        with pytest.raises(PictureError, match="convert it to a 16-bit PNG"):
            pictures.read(path, 3, bits=bits)
    assert (pictures.read(path, 3) == 255).all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_samples_without_a_known_white_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.ones((3, 4), dtype)).save(tmp_path / "x.tif")
    with pytest.raises(PictureError, match="nobody can tell which is white"):
        pictures.read(tmp_path / "x.tif", 1)


def test_a_transparency_that_does_not_hold_is_passed_over(tmp_path: Path) -> None:
    black_and_white = np.eye(8, dtype=int)
    broken = bytearray(chunk(b"tRNS", b"\0\0"))
    broken[-1] ^= 1
    (tmp_path / "x.png").write_bytes(png(black_and_white, 1, 0, extra=bytes(broken)))
    expected = 255 * np.eye(8)[..., None]
    np.testing.assert_array_equal(pictures.read(tmp_path / "x.png", 1), expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither PNG"),
        (b"no picture at all", "neither PNG"),
        (b"\x89PNG\r\n\x1a\n", "without pixels"),
        (saved(Image.fromarray(scene()), "PNG")[:300], "cut off"),
        (saved(Image.fromarray(scene()), "JPEG")[:-300], "cut off"),
        (saved(Image.fromarray(scene()), "JPEG")[:60], "no size"),
        (saved(Image.fromarray(scene()), "TIFF")[:200], "cut off|Error"),
        (saved(Image.fromarray(scene()), "WEBP")[:90], "cut off|Error"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 2000, "more than 1000 segments"),
        (png(scene(), 8, 2, extra=chunk(b"tEXt", b"a\0b") * 2000), "more than 1000 chunks"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=said):
        pictures.inspect(path)
        pictures.read(path, 3)
    with pytest.raises(PictureError):
        pictures.read(path, 3)


def test_a_cut_off_photograph_with_a_whole_preview_is_told_by_its_header(tmp_path: Path) -> None:
    picture = Image.fromarray(scene(200, 200))
    preview = saved(picture.resize((32, 32)), "JPEG")
    whole = saved(picture, "JPEG", exif=exif(1).tobytes() + preview)
    (tmp_path / "x.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="cut off"):
        pictures.inspect(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes(whole + b"a video" * 100_000)
    assert pictures.inspect(tmp_path / "x.jpg")[:2] == (200, 200)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.png"))
        for name in ("pipe.png", "folder.png", "socket.png"):
            with pytest.raises(PictureError, match="not a file but"):
                pictures.inspect(tmp_path / name)
    for path in (Path("/dev/zero"), Path("/dev/stdin")):
        with pytest.raises(PictureError, match=r"not a file but|neither"):
            pictures.read(path, 3)
    for name in ("a", "missing.png"):
        with pytest.raises(PictureError, match="cannot be opened"):
            pictures.read(tmp_path / name, 3)
