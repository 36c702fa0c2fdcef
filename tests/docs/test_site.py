"""The docs as a site: each link on it leads somewhere on it, and no page asks anything from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support import ROOT

LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The links of a page, what it loads, and the places on it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if given.get(LOADS.get(tag, "")):
            self.loads.append(given[LOADS[tag]])


@pytest.mark.oracle
def test_site(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed")
    subprocess.run([sys.executable, str(ROOT / "tools" / "site.py"), str(tmp_path)], check=True)
    pages = {file: Page(file.read_text("utf-8")) for file in tmp_path.rglob("*.html") if file.name != "404.html"}
    assert len(pages) > 100  # each manager has one
    wrong = []
    for file, page in pages.items():
        assert not [address for address in page.loads if urlsplit(address).netloc], file
        for address in (*page.links, *page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids
            ):
                wrong.append(f"{file.relative_to(tmp_path)}: {address}")
    assert not wrong
    assert (tmp_path / "search" / "search_index.json").is_file()
    styles = [file.read_text("utf-8") for file in tmp_path.rglob("*.css")]
    assert not [style for style in styles if "url(http" in style or "@import" in style]
