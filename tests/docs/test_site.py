"""The site builds without a warning and asks no other server for anything; its API is complete."""

import html.parser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfrobust

from .pages import ROOT

ROOMS = [name for name in dir(tfrobust) if isinstance(getattr(tfrobust, name), type(sys))]


class _Fetched(html.parser.HTMLParser):
    """What a browser loads of its own accord: scripts, styles, pictures and frames."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(found.get("src") or "")
        elif tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(found.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Strict: a link or an anchor that leads nowhere is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={
            **os.environ,
            "NO_MKDOCS_2_WARNING": "1",
            # Whoever asks for the network gets an error.
            "https_proxy": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr[-3000:]
    return folder


def test_a_page_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = _Fetched()
        fetched.feed(page.read_text())
        outside = [one for one in fetched.addresses if re.match(r"(?:\w+:)?//", one)]
        assert not outside, f"{page.name}: {outside}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()), style


def _api() -> Iterator[str]:
    """Every name of the API; `published` is a module of its own."""
    for name in dir(tfrobust):
        if name not in ROOMS:
            yield f"tfrobust.{name}"
            continue
        room = getattr(tfrobust, name)
        for inner in getattr(room, "__all__", dir(room)):
            if not isinstance(getattr(room, inner), type(sys)):
                yield f"tfrobust.{name}.{inner}"


def test_every_name_of_the_api_has_an_entry_in_the_reference(site: Path) -> None:
    entries = set()
    for page in (site / "reference").glob("*.html"):
        entries |= set(re.findall(r'id="(tfrobust\.[\w.]+)"', page.read_text()))
    # A name that two rooms give has one entry; which one, the reader does not mind.
    homes = {_home(entry) for entry in entries if _is_public(entry)}
    missing = [name for name in _api() if name not in entries and _home(name) not in homes]
    assert not missing


def _is_public(entry: str) -> bool:
    """Whether an entry is a name that resolves, and not a field or an argument."""
    try:
        _value(entry)
    except AttributeError:
        return False
    return True


def _value(name: str) -> object:
    value: object = tfrobust
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def _home(name: str) -> object:
    value = _value(name)
    home = (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
    return home if all(home) else name
