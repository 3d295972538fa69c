"""The sheet of one picture: its pixels, its words and its scale."""

import io

import numpy as np
import pytest
from PIL import Image

from tfrobust.errors import InputError
from tfrobust.explanations.explanation import Explanation
from tfrobust.reports import lettering, overlay, sheet
from tfrobust.reports.overlay import Original
from tfrobust.reports.sheet import RIVAL, SURER, Question, sheet_png

NAMES = ["pneumonia", "норма", "a name that is much too long " * 4]
SIZE = 0.05


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written, line by line."""
    written: list[str] = []
    drawn = lettering.drawn

    def spy(lines: list[str], width: int, size: int, *, bold: bool = False) -> np.ndarray:
        written.append(" ".join(lines))
        return drawn(lines, width, size, bold=bold)

    monkeypatch.setattr(lettering, "drawn", spy)
    return written


def explanation(
    side: int, channels: int = 1, *, rho: float = SIZE, target: int = 0, short: bool = False
) -> Explanation:
    """A change that is +rho in the upper half and −rho in the lower."""
    difference = np.full((1, side, side, channels), rho, np.float32)
    difference[:, side // 2 :] *= -1
    return Explanation(
        explanation=0.5 + difference,
        difference=difference,
        target=np.array([target]),
        confidence_before=np.array([0.621]),
        confidence_after=np.array([0.99999]),
        rmse=np.array([rho]),
        rho=rho,
        reached=np.array([not short]),
        attribution=difference,
        map=np.abs(difference).sum(-1),
        method="g_explain",
    )


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def grey(height: int, width: int, channels: int = 1) -> np.ndarray:
    return np.full((height, width, channels), 100, np.uint8)


PROBABILITIES = np.array([0.621, 0.3, 0.079])


def drawn(original: Original, answers: list[Explanation], **options: object) -> bytes:
    return sheet_png(
        original,
        [Question(SURER, answers)],
        PROBABILITIES,
        maps={},
        **{"class_names": NAMES, **options},
    )


def test_words_sizes_and_scale(texts: list[str]) -> None:
    asked = [explanation(8), explanation(8, target=1, short=True)]
    questions = [Question(SURER, asked[:1]), Question(RIVAL, asked[1:])]
    original = Original("scan $7.dcm", grey(8, 8), levels=1023)
    sheet_png(original, questions, PROBABILITIES, maps={}, class_names=NAMES, label=1)
    assert "More of this would make the network surer of pneumonia" in texts
    assert "More of this would make the network surer of норма instead" in texts
    assert "scan $7.dcm: 8 × 8 pixels" in texts and "labelled норма" in texts
    assert "the network sees pneumonia 62.1 %, then норма 30.0 %" in texts
    assert "the picture with it: 62.1 % → above 99.9 %" in texts
    # RMSE 0.05 of 255 and of 1,023 levels; the scale ends at three times that.
    assert "change of RMSE 0.05: 13 of 255 grey levels, 51 of the file's 1,023" in texts
    assert {"−153", "0", "+153", "grey levels of 1,023; blue darker, red brighter"} <= set(texts)
    assert sum(text.startswith("FALLS SHORT") for text in texts) == 1


def test_a_small_picture_is_enlarged_by_whole_pixels() -> None:
    picture = pixels(drawn(Original("x", grey(8, 8)), [explanation(8)]))
    # Three columns of 8 × 40 pixels, each after a gap of 14, below one line of a heading.
    top = 14 + lettering.height_of(1, 14) + 7
    changed = picture[top : top + 320, 2 * 14 + 320 : 2 * 14 + 640]
    assert (changed[:160] == round(100 + 255 * SIZE)).all()
    assert (changed[160:] == round(100 - 255 * SIZE)).all()
    change = picture[top : top + 320, 3 * 14 + 640 : 3 * 14 + 960].astype(int)
    assert (change[:160, :, 0] > change[:160, :, 2]).all()  # red: brighter
    assert (change[160:, :, 2] > change[160:, :, 0]).all()  # blue: darker
    assert picture.shape[1] == 3 * 320 + 4 * 14


def test_a_large_picture_keeps_its_size_and_its_detail() -> None:
    stripes = grey(900, 600)
    stripes[::2] = 50
    picture = pixels(drawn(Original("x", stripes, "letterbox"), [explanation(64)]))
    letters = 600 // 28
    top = letters + lettering.height_of(1, letters) + letters // 2
    np.testing.assert_array_equal(
        picture[top : top + 900, letters : letters + 600], np.repeat(stripes, 3, axis=2)
    )
    left = 2 * letters + 600
    changed = picture[top : top + 900, left : left + 600].astype(int)
    assert (changed[:400, :, 0] - stripes[:400, :, 0] == round(255 * SIZE)).all()


def test_one_that_is_too_large_is_shrunk_and_says_so(
    texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheet, "LARGEST_SHEET", 3 * 350 * 350)
    picture = pixels(drawn(Original("x", grey(700, 700)), [explanation(8)]))
    assert "x: 700 × 700 pixels, shown at 350 × 350" in texts
    assert picture.shape[1] == 3 * 350 + 4 * 14


def test_colour_is_shown_around_grey(texts: list[str]) -> None:
    found = explanation(8, 3)
    found.difference[..., 1:] = 0
    picture = pixels(drawn(Original("x", grey(8, 8, 3)), [found]))
    top, left = 14 + lettering.height_of(1, 14) + 7, 3 * 14 + 640
    red = 255 * (0.5 + 0.5 / 3)  # a third of the limit, which is three times the size
    np.testing.assert_allclose(picture[top + 5, left + 5], [red, 127.5, 127.5], atol=1)
    assert "levels of each colour of 255; dark less, bright more" in texts


def test_several_sizes_and_maps_have_their_places(texts: list[str]) -> None:
    seen = explanation(8, rho=0.0)
    found = sheet_png(
        Original("x", grey(8, 8)),
        [Question(SURER, [explanation(8, rho=size) for size in (0.02, 0.05, 0.1)])],
        PROBABILITIES,
        maps={"Grad-CAM": seen, "Occlusion": None},
        class_names=NAMES,
    )
    assert pixels(found).shape[1] == 7 * 320 + 8 * 14
    assert {"Grad-CAM: where the evidence is", "not for this network"} <= set(texts)
    assert [text for text in texts if text.startswith("change of")] == [
        f"change of RMSE {size:g}: {levels} of 255 grey levels"
        for size, levels in ((0.02, "5.1"), (0.05, "13"), (0.1, "26"))
    ]


def test_what_lies_on_margins_is_said(texts: list[str]) -> None:
    drawn(Original("x", grey(40, 80), "letterbox"), [explanation(8)])
    assert "50% of the change is on the margins, outside the picture" in texts
    np.testing.assert_allclose(
        overlay.share_on_margins(Original("x", grey(40, 80), "crop"), explanation(8).difference[0]),
        0,
    )


def test_the_part_that_was_cut_out_is_outlined() -> None:
    picture = pixels(drawn(Original("x", grey(400, 800)), [explanation(8)]))
    assert (picture == sheet.OUTLINE).all(-1).any()
    picture = pixels(drawn(Original("x", grey(400, 400)), [explanation(8)]))
    assert not (picture == sheet.OUTLINE).all(-1).any()


def test_the_same_bytes_twice() -> None:
    original, found = Original("x", grey(8, 8)), [explanation(8)]
    assert drawn(original, found) == drawn(original, found)


@pytest.mark.parametrize(
    ("original", "names", "message"),
    [
        (Original("x", grey(8, 8, 2)), NAMES, "grey"),
        (Original("x", grey(8, 8)), NAMES[:2], "got 2 names and class 2"),
    ],
)
def test_refuses(original: Original, names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        drawn(original, [explanation(8, original.pixels.shape[2])], class_names=names)


def test_lines_fit_their_width_in_any_script() -> None:
    for text in ("a few words that are long", "Рентгенограмма" * 9, "ا ب ت ث " * 20, "x" * 200):
        for most in (1, 2, 5):
            lines = lettering.fitted(text, 150, 14, most=most)
            assert 1 <= len(lines) <= most
            assert all(lettering.width_of(line, 14) <= 152 for line in lines)
            told = "".join(lines).replace(" ", "")
            assert told == text.replace(" ", "") or lines[-1].endswith("…")
    assert lettering.fitted("", 150, 14) == [""]
