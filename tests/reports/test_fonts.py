"""Letters of class names in pictures."""

import warnings
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from tfrobust.reports import fonts, lettering


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """What is known of the machine's fonts is kept; each test has others."""
    for function in (fonts._installed, fonts._paths, fonts._tell):
        function.cache_clear()


def font(path: Path, letters: str) -> str:
    """Writes a font that has a square for each of some letters."""
    pen = TTGlyphPen(None)
    for place, step in enumerate(((0, 0), (0, 700), (700, 700), (700, 0))):
        (pen.lineTo if place else pen.moveTo)(step)
    pen.closePath()
    names = [".notdef", *(f"u{ord(letter):x}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (800, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def test_a_font_of_the_machine_has_the_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = font(tmp_path / "Retina.ttf", "網膜 ab"), font(tmp_path / "Other.ttf", "犬")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    found = [str(tmp_path / "broken.ttf"), other, one]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: found)
    assert fonts.families(["cat", "Röntgen"]) == ["DejaVu Sans"]
    assert fonts.families(["網膜 (retina)"]) == ["DejaVu Sans", "Retina"]
    assert sorted(fonts.families(["網膜", "犬"])) == ["DejaVu Sans", "Other", "Retina"]
    assert fonts.legible("網膜 (retina)", 2) == "網膜 (retina)"
    assert fonts.legible("犬", 0) == "犬"
    assert fonts.path_for("網膜 ab") == one
    assert fonts.path_for("cat").endswith("DejaVuSans.ttf")
    assert fonts.path_for("犬 cat").endswith("DejaVuSans.ttf")


def test_names_that_no_font_has_are_legible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    names = ["網膜 (retina)", "網膜", "Ко́шка", "Schädel", "Scha\u0308del", "a$b^", "\u200bcat"]
    legible = ["class 0 (retina)", "class 1", "Ко́шка", "Schädel", "Schädel", "a$b^", "cat"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert [fonts.legible(name, number) for number, name in enumerate(names)] == legible
        assert fonts.drawable("網膜 ไทย.png") == "□□ □□□.png"
    # Once for each script, and with what helps.
    (chinese, thai) = [str(one.message) for one in told]
    assert "(CJK)" in chinese and "apt-get install fonts-noto-cjk" in chinese
    assert "(THAI)" in thai and "apt-get install fonts-noto-core" in thai


@pytest.mark.parametrize("installed", [False, True])
def test_no_letter_of_a_sheet_becomes_a_box_of_the_font(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    names = ("épanchement", "перелом", "腫瘤", "كسر")
    found = [font(tmp_path / "Tumour.ttf", "腫瘤")] if installed else []
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: found)
    with warnings.catch_warnings():
        # Matplotlib warns of each letter that it has to draw as a box.
        warnings.filterwarnings("error", ".*missing from font")
        warnings.filterwarnings("ignore", "no font of this machine")
        for number, name in enumerate(names):
            text = fonts.legible(name, number)
            assert text == (name if installed or number != 2 else "class 2")
            assert (lettering.drawn([text], 200, 20) < 100).any()
