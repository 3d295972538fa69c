"""The Markdown that people read, and the code blocks in it."""

import itertools
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\n\Z", re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page.

    Args:
        kind: the fence's language.
        code: what is between the fences.
        said: what the page says that it prints, the `text` block right behind it; None without.
        not_run: why a test cannot run it; None where one can.
    """

    kind: str
    code: str
    said: str | None
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page from top to bottom."""
    text = page.read_text()
    found = list(FENCE.finditer(text))
    made = []
    for one, following in itertools.zip_longest(found, found[1:]):
        printed = None
        if following is not None and following[1] == "text":
            between = text[one.end() : following.start()]
            printed = following[2] if not between.strip() else None
        reason = NOT_RUN.search(text[: one.start()])
        made.append(Block(one[1], one[2], printed, reason[1] if reason else None))
    return made


def name_of(page: Path) -> str:
    """A page's path in the clone."""
    return page.relative_to(ROOT).as_posix()
