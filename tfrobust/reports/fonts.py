"""Fonts that have the letters of class names, which are in any language.

Matplotlib brings DejaVu Sans, which has Latin with its accents, Greek, Cyrillic, Hebrew and Arabic,
but no Chinese, Japanese or Korean. For these a font of the machine is used if there is one. If none
is there, a warning says once for each script which package of Debian brings it.
"""

import functools
import unicodedata
import warnings
from collections.abc import Iterable

from matplotlib import font_manager

USUAL = "DejaVu Sans"
# By the first word of a letter's name in Unicode.
PACKAGES = dict.fromkeys(
    ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC"), "fonts-noto-cjk"
)
OTHERS = "fonts-noto-core"


def families(texts: Iterable[str]) -> list[str]:
    """The font families to draw texts with, in the order in which matplotlib tries them.

    Args:
        texts: any number of them.

    Returns:
        DejaVu Sans, and installed fonts that have the letters it lacks.
    """
    missing = frozenset("".join(texts)) - _letters(font_manager.findfont(USUAL))
    found = []
    for path in _paths(missing):
        font_manager.fontManager.addfont(path)
        found.append(font_manager.get_font(path).family_name)
    return [USUAL, *found]


def path_for(text: str) -> str:
    """The file of a font that has all letters of a text, or else DejaVu Sans."""
    usual = font_manager.findfont(USUAL)
    missing = frozenset(text) - _letters(usual)
    best = _paths(missing)[:1] if missing else []
    return next((path for path in best if frozenset(text) <= _letters(path)), usual)


def legible(name: str, number: int) -> str:
    """A class name as it can be drawn here.

    Args:
        name: the name of the class.
        number: its label.

    Returns:
        The same name. If no font has its letters, the number, and what can be drawn: "class 2
        (retina)".
    """
    # An accent that stands for itself, as macOS writes file names, becomes part of its letter.
    name = unicodedata.normalize("NFC", name)
    name = "".join(one for one in name if unicodedata.category(one) not in ("Cf", "Cc", "Cs"))
    missing = _missing(name)
    if not missing:
        return name
    rest = "".join(one for one in name if one not in missing).strip(" ()[]-_,.")
    return f"class {number} ({rest})" if rest else f"class {number}"


def drawable(text: str) -> str:
    """A text with a box in the place of each letter that no font has."""
    text = unicodedata.normalize("NFC", text)
    missing = _missing(text)
    return "".join("□" if one in missing else one for one in text)


def _missing(text: str) -> frozenset[str]:
    """The letters of a text that no font here has; the user is told of them."""
    missing = frozenset(text) - _letters(font_manager.findfont(USUAL))
    missing = missing.difference(*(_letters(path) for path in _paths(missing)))
    for one in sorted(missing):
        _tell(unicodedata.name(one, "UNNAMED").split()[0].split("-")[0])
    return missing


@functools.cache
def _tell(script: str) -> None:
    """Says once that the letters of a script cannot be drawn, and what helps."""
    warnings.warn(
        f"no font of this machine has all letters of the names ({script}). In pictures "
        'classes have numbers for names, and letters of files are "□". Install a font of this '
        f"script; on Debian and Ubuntu: apt-get install {PACKAGES.get(script, OTHERS)}",
        stacklevel=2,
    )


@functools.lru_cache(maxsize=1024)
def _paths(letters: frozenset[str]) -> list[str]:
    """The files of installed fonts that together have as many of some letters as possible."""
    found: list[str] = []
    while letters:
        best = max(_installed(), key=lambda path: len(letters & _letters(path)), default=None)
        if best is None or not letters & _letters(best):
            break
        found.append(best)
        letters -= _letters(best)
    return found


@functools.cache
def _installed() -> tuple[str, ...]:
    """The files of the machine's fonts, upright ones of usual weight before others."""
    paths = sorted(font_manager.findSystemFonts())
    return tuple(sorted(paths, key=lambda path: any(word in path for word in ("Bold", "Italic"))))


@functools.cache
def _letters(path: str) -> frozenset[str]:
    """The letters that a font has; none if matplotlib cannot draw with it."""
    try:
        font = font_manager.get_font(path)
    # FreeType raises RuntimeError for fonts of another kind, such as those of coloured emoji.
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()
