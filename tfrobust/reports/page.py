"""One self-contained HTML page, made of sections. It needs no network and no script."""

import base64
from collections.abc import Sequence
from html import escape

from tfrobust.errors import InputError

# A heading as plain text, and the HTML under it.
Section = tuple[str, str]

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem 1.25rem 4rem; color: #1c2330;
  background: #fff; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-bottom: .25rem;
  border-bottom: 1px solid #d5dae2; }
p { margin: .6rem 0; max-width: 46rem; }
.note { color: #56606f; font-size: .9rem; }
.banner, .warnings li { background: #fff4d6; border-left: 4px solid #d99a00; padding: .5rem .8rem; }
.banner { font-weight: 600; }
.warnings { list-style: none; padding: 0; } .warnings li { margin: .5rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #e4e8ee; text-align: right;
  vertical-align: baseline; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
th { font-size: .85rem; font-weight: 600; color: #56606f; }
.headline td:nth-child(2) { font-size: 1.25rem; font-weight: 650; }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.facts td:first-child { white-space: nowrap; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; }
figure { margin: 0; flex: 1 1 20rem; min-width: 0; }
figure svg { width: 100%; height: auto; max-width: 40rem; }
figure img { max-width: 100%; image-rendering: pixelated; }
.triples { display: flex; flex-wrap: wrap; gap: .8rem 1.5rem; }
.triples figure { flex: 0 0 25rem; max-width: 100%; } .triples img { width: 31%; margin-right: 2%; }
figcaption { color: #56606f; font-size: .9rem; max-width: 46rem; }
@media (max-width: 40rem) { th, td { padding-right: .6rem; font-size: .85rem; }
  .headline td:nth-child(2) { font-size: 1rem; } }
@media print { body { max-width: none; padding: 0; font-size: 10.5pt; }
  h2 { break-after: avoid; } figure, tr, li { break-inside: avoid; } .scroll { overflow: visible; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
""".strip()


def render(title: str, sections: Sequence[Section], *, banner: str | None = None) -> str:
    """A whole page.

    Args:
        title: plain text.
        sections: each a heading in plain text and the HTML under it, which is taken as it is.
        banner: plain text that nobody should miss, under the title.

    Returns:
        The page's HTML.
    """
    marked = f'<p class="banner">{escape(banner)}</p>\n' if banner else ""
    body = "\n".join(
        f"<section>\n<h2>{escape(heading)}</h2>\n{html}\n</section>" for heading, html in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{marked}{body}\n</body>\n</html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str = "") -> str:
    """A table of plain text, the first column on the left, figures on the right.

    Args:
        head: the columns' names; empty for a table without a head.
        rows: cells in plain text.
        kind: the table's CSS class, if any.

    Returns:
        HTML.
    """
    lines = []
    if head:
        cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    body = "\n".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    lines.append(f"<tbody>\n{body}\n</tbody>")
    return f'<div class="scroll"><table class="{escape(kind)}">{"".join(lines)}</table></div>'


def figure(html: str, caption: str) -> str:
    """A picture with its caption in plain text: HTML of the picture → HTML."""
    return f"<figure>{html}<figcaption>{escape(caption)}</figcaption></figure>"


def image_section(heading: str, caption: str, png: bytes) -> Section:
    """A section that holds one picture.

    Args:
        heading: plain text.
        caption: plain text, also what is read to those who cannot see the picture.
        png: the picture's file.

    Returns:
        The section, the picture embedded.

    Raises:
        InputError: bytes that are no PNG.
    """
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError(f"expected a PNG's bytes, got some that begin with {png[:8]!r}")
    data = base64.b64encode(png).decode()
    image = f'<img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
    return heading, figure(image, caption)
