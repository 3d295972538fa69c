"""Pages from the templates beside this file: each is one HTML file that asks for nothing else."""

import base64
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from tfrobust.core.ara import Ara
from tfrobust.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"


class Section(NamedTuple):
    """A picture with a heading, for the end of a report's page.

    Args:
        heading: plain text.
        picture: an <svg> element, or the bytes of a PNG file.
        caption: plain text below the picture.
    """

    heading: str
    picture: str | bytes
    caption: str


class Table(NamedTuple):
    """A table of plain text.

    Args:
        head: the columns' names; empty for a table without a head.
        rows: for each row its cells.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(template: str, **values: Any) -> str:
    """Fills a template. Text is escaped; an <svg> element that is `Markup` is not.

    Args:
        template: the name of a file in templates/.
        **values: what the template names.

    Returns:
        HTML.
    """
    return _environment().get_template(template).render(values)


def png_uri(png: bytes) -> str:
    """A PNG file as an address that holds the file itself.

    Raises:
        InputError: the bytes are no PNG file.
    """
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError(f"expected a PNG's bytes, got some that begin with {png[:8]!r}")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def area_cells(ara: Ara) -> tuple[str, str]:
    """An area and its interval as two cells of a table."""
    if ara.value is None:
        return "not bounded", f"{ara.unfound} of {ara.images} unfound"
    high = "unbounded" if ara.high is None else f"{ara.high:.4f}"
    return f"{ara.value:.4f}", f"{ara.low:.4f} – {high}"


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"png_uri": png_uri, "svg": Markup}
    return environment
