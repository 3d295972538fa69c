"""DICOM files: the grey levels of pydicom, what is refused, and that patients are not named."""

import io
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SECRET, dicom, item
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from tfrobust import datasets
from tfrobust.datasets import dicom as dicom_module
from tfrobust.datasets import pictures
from tfrobust.datasets.headers import PictureError

RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8)


def packaged(name: str) -> Path:
    return Path(get_testdata_file(name, download=False))


def grey(content: bytes, **options: int) -> np.ndarray:
    return pictures.decode(content, 1, **options)[..., 0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        "693_J2KI.dcm",  # JPEG 2000, signed, 14 bits, a window and an intercept
        "J2K_pixelrep_mismatch.dcm",  # several windows
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_padded.dcm",
        "examples_overlay.dcm",  # 12 bits
        "image_dfl.dcm",  # deflated, 8 bits, no window
    ],
)
def test_grey_levels_are_those_of_pydicom(name: str) -> None:
    data = pydicom.dcmread(packaged(name))
    bits, signed = data.BitsStored, data.PixelRepresentation
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    low, high = ends * float(data.get("RescaleSlope", 1)) + float(data.get("RescaleIntercept", 0))
    expected = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
    shown = pictures.read(packaged(name), 1)[..., 0] / 255
    np.testing.assert_allclose(shown, (expected - low) / (high - low), atol=0.5 / 255 + 1e-9)
    assert shown.max() > 0.9
    assert pictures.inspect(packaged(name)).grey


@pytest.mark.parametrize(
    "name", ["examples_rgb_color.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_rle.dcm"]
)
def test_colours_are_those_of_pydicom(name: str) -> None:
    expected = pydicom.dcmread(packaged(name)).pixel_array
    np.testing.assert_array_equal(pictures.read(packaged(name), 3), expected)
    assert not pictures.inspect(packaged(name)).grey


def test_a_palette_is_applied() -> None:
    data = pydicom.dcmread(packaged("examples_palette.dcm"))
    expected = pydicom.pixels.apply_color_lut(data.pixel_array, data) / (2**16 - 1)
    shown = pictures.read(packaged("examples_palette.dcm"), 3) / 255
    np.testing.assert_allclose(shown, expected, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15])
def test_without_a_window_the_stored_bits_are_shown(bits: int) -> None:
    samples = np.linspace(0, 2**bits - 1, 64).astype(np.uint8 if bits == 8 else np.uint16)
    shown = grey(dicom(samples.reshape(8, 8), bits=bits)).ravel()
    np.testing.assert_array_equal(shown, np.rint(samples * 255.0 / (2**bits - 1)))


def test_monochrome1_is_inverted() -> None:
    window = {"WindowCenter": 32, "WindowWidth": 64}
    one = grey(dicom(RAMP, bits=12, **window))
    other = grey(dicom(RAMP, bits=12, PhotometricInterpretation="MONOCHROME1", **window))
    assert one.max() == 255 and one[0, 0] == 0
    np.testing.assert_array_equal(other, 255 - one)


def test_windows_by_hand() -> None:
    # PS3.3 C.11.2.1.2.1: x ≤ c − 0.5 − (w−1)/2 is black; above c − 0.5 + (w−1)/2 it is white.
    shown = grey(dicom(RAMP, bits=12, WindowCenter=[20, 50], WindowWidth=[11, 5])).ravel()
    inside = ((np.arange(64) - 19.5) / 10 + 0.5) * 255
    np.testing.assert_array_equal(shown, np.rint(np.clip(inside, 0, 255)))
    # A slope below 0 turns dark and light round.
    window = {"RescaleSlope": -2, "RescaleIntercept": 100, "WindowCenter": 50, "WindowWidth": 41}
    data = dicom(RAMP, bits=12, **window)
    assert grey(data).dtype == np.uint8


def test_a_voi_table_goes_before_a_window() -> None:
    table = item(LUTDescriptor=[64, 0, 12], LUTData=[4095 - 65 * step for step in range(64)])
    table["LUTData"].VR = table["LUTDescriptor"].VR = "US"
    content = dicom(RAMP, bits=12, VOILUTSequence=[table], WindowCenter=20, WindowWidth=10)
    np.testing.assert_array_equal(
        grey(content).ravel(), np.rint((4095 - 65 * np.arange(64)) / 16.0588235)
    )


def test_sixteen_bits_without_a_window_are_asked_about() -> None:
    dark = dicom(RAMP * 60)
    with pytest.raises(PictureError, match=r"without a window, and .* told by `bits`.* is 3780"):
        grey(dark)
    np.testing.assert_array_equal(grey(dark, bits=12), np.rint(RAMP * 60 * (255 / 4095)))
    with pytest.raises(PictureError, match=r"of which 10 bits carry the picture.* 3780"):
        grey(dark, bits=10)
    with pytest.raises(PictureError, match="without a window"):
        pictures.read(packaged("CT_small.dcm"), 1)
    assert grey(dicom(RAMP * 1000)).max() == round(63_000 / 257)


def test_frames_are_named(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP.T, RAMP[::-1]]) * 65
    content = dicom(frames, bits=12)
    for number, expected in enumerate(frames, start=1):
        np.testing.assert_array_equal(grey(content, frame=number), np.rint(expected * (255 / 4095)))
    with pytest.raises(PictureError, match="3 frames: say by `frame` which one, from 1 to 3"):
        grey(content)
    with pytest.raises(PictureError, match="3 frames, but `frame` is 4"):
        grey(content, frame=4)
    (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(PictureError, match="3 frames: say"):
        pictures.inspect(tmp_path / "x.dcm")
    assert pictures.inspect(tmp_path / "x.dcm", frame=2)[:2] == (8, 8)


def test_a_frame_has_a_window_of_its_own() -> None:
    """Enhanced CT and MR say windows and slopes for each frame."""

    def group(center: float) -> pydicom.Dataset:
        slope = item(RescaleSlope=1, RescaleIntercept=0)
        window = item(WindowCenter=center, WindowWidth=20)
        return item(PixelValueTransformationSequence=[slope], FrameVOILUTSequence=[window])

    groups = {"PerFrameFunctionalGroupsSequence": [group(20), group(50)]}
    content = dicom(np.stack([RAMP, RAMP]), bits=12, **groups)
    for frame, center in ((1, 20), (2, 50)):
        alone = dicom(RAMP, bits=12, WindowCenter=center, WindowWidth=20)
        np.testing.assert_array_equal(grey(content, frame=frame), grey(alone))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "MR_small_jpeg_ls_lossless.dcm",
            "compressed as JPEG-LS Lossless Image Compression, whose",
        ),
        ("JPEG-lossy.dcm", "12-bit precision"),
        ("MR_truncated.dcm", "less than expected"),
        ("rtdose_1frame.dcm", "32 bits a sample"),
        ("liver_1frame.dcm", "1 bits a sample"),
        ("test-SR.dcm", "without a picture"),
        ("badVR.dcm", "invalid literal"),
        ("no_meta.dcm", "neither PNG"),
    ],
)
def test_what_cannot_be_decoded_is_refused_in_words(name: str, said: str) -> None:
    with pytest.raises(PictureError, match=said):
        pictures.read(packaged(name), 1)


def test_what_a_header_claims_is_checked_before_pixels_are_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(dicom(RAMP, Rows=60_000, Columns=60_000))
    monkeypatch.setattr(dicom_module, "read_levels", None)
    for refused in (pictures.inspect, lambda path: pictures.read(path, 1)):
        with pytest.raises(PictureError, match="60000 × 60000 pixels, above 100 megapixels"):
            refused(path)
    path.write_bytes(dicom(RAMP, Rows=0))
    with pytest.raises(PictureError, match="without a picture"):
        pictures.inspect(path)


def test_a_deflated_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = packaged("image_dfl.dcm").read_bytes()
    monkeypatch.setattr(dicom_module, "MOST_INFLATED", 2**20)
    assert grey(content).shape == (512, 512)
    start = content[: content.index(zlib_start(content))]
    packer = zlib.compressobj(wbits=-15)
    bomb = start + packer.compress(bytes(2**22)) + packer.flush()
    with pytest.raises(PictureError, match="unpacks to more than 1048576 bytes"):
        grey(bomb)


def zlib_start(content: bytes) -> bytes:
    """The first bytes of the deflated part, which follows the elements of group 2."""
    file = io.BytesIO(content)
    file.seek(132)
    pydicom.filereader.read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
    return content[file.tell() : file.tell() + 16]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_end_in_words() -> None:
    whole = bytearray(packaged("MR_small.dcm").read_bytes()[:3000])
    random = np.random.default_rng(0)
    for _ in range(150):
        broken = whole.copy()
        for place in random.integers(132, len(whole), 4):
            broken[place] = random.integers(256)
        with pytest.raises(PictureError):
            grey(bytes(broken))


def test_without_pydicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(PictureError, match=r"needs pydicom: pip install 'tfrobust\[dicom\]'"):
        grey(dicom(RAMP))


def test_a_folder_of_radiographs_names_no_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for name in ("well", "ill"):
        (tmp_path / name).mkdir()
        for number in range(5):
            samples = random.integers(0, 4096, (12, 10)).astype(np.uint16)
            content = dicom(samples, bits=12, patient=f"P-{name}-{number}")
            (tmp_path / name / f"{number}.dcm").write_bytes(content)
    (tmp_path / "ill" / "cut.dcm").write_bytes(content[:-50])
    data = datasets.load(f"folder:{tmp_path}")
    assert data.info.image_shape == (12, 10, 1)
    assert data.info.train_images + data.info.test_images == 10
    assert data.skipped == ("ill/cut.dcm",)
    told = f"{data.info} {caplog.text} {capfd.readouterr()}"
    assert "ill/cut.dcm" in told
    for secret in (SECRET, "Mustermann", "P-ill", "P-well", "1970"):
        assert secret not in told
