"""Links and names in the Markdown of the clone: what they point at is there.

Links between the pages of docs are followed by mkdocs, which `test_site.py` runs strictly.
"""

import re
import subprocess
import urllib.parse
from pathlib import Path

import pytest

import tfrobust

from .pages import PAGES, ROOT, name_of

LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"\btfrobust(?:\.[A-Za-z_]\w*)+")
FILE = re.compile(
    r"(?:benchmarks|docs|examples|saved_models|serving|tests|tfrobust|tools)/[\w./-]*[\w/]"
)
LISTED = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.split()
MARKDOWN = [ROOT / name for name in LISTED if (ROOT / name).is_file()]


def of(pages: list[Path]) -> list[object]:
    """A parameter for each page."""
    return [pytest.param(page, id=name_of(page)) for page in pages]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and mkdocs make of a page's headings, and those that it names."""
    text = FENCED.sub("", page.read_text())
    found = set(re.findall(r"\{ #([\w-]+) \}", text))
    for heading in re.findall(r"^#+ (.+?)(?: \{ #.*\})?$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip()
        found.add(re.sub(r"\s", "-", plain.lower()))
    return found


@pytest.mark.parametrize("page", of(MARKDOWN))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https" and "." in parts.netloc, f"{link}: no https address"
            continue
        target = page.parent / parts.path if parts.path else page
        assert target.exists(), f"{link}: no such file"
        assert target.resolve().is_relative_to(ROOT), f"{link}: leaves the clone"
        if parts.fragment:
            assert parts.fragment in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", of(PAGES))
def test_files_that_are_named_are_there(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"`([^`\n]+)`", FENCED.sub("", text)):
        if FILE.fullmatch(name):
            # What a run writes need not be there.
            made = name.startswith("saved_models/") and not name.startswith(
                ("saved_models/cifar10", "saved_models/fashion_mnist_mini")
            )
            assert made or (ROOT / name).exists(), name


@pytest.mark.parametrize("page", of(PAGES))
def test_names_that_are_spoken_of_resolve_after_import_tfrobust_alone(page: Path) -> None:
    text = page.read_text()
    spoken = re.findall(r"`[^`\n]+`", FENCED.sub("", text)) + re.findall(
        r"^```python\n.*?^```$", text, re.DOTALL | re.MULTILINE
    )
    for name in sorted({name for span in spoken for name in NAME.findall(span)}):
        value = tfrobust
        for part in name.split(".")[1:]:
            assert hasattr(value, part), f"{name}: {value} has no {part}"
            value = getattr(value, part)
