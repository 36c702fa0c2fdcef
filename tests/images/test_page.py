"""The page of an audit in a real browser: on phones, tablets and desks, by day and by night."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanroom.cli import main
from tests.support.browser import CONTRAST, NARROW, Browser, browser
from tests.support.images import config, docker_save, layer

pytestmark = pytest.mark.builds  # with Chromium, from Debian too
CACHES = {
    "apt": "var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_main_binary-amd64_Packages.lz4",
    "pip": "root/.cache/pip/http-v2/0/1/2/a",
    "npm": "root/.npm/_cacache/content-v2/sha512/aa",
    "conda": "opt/conda/pkgs/numpy-1.26.4-py311h64a7726_0.conda",
    "go": "root/go/pkg/mod/x",
    "cargo": "root/.cargo/registry/cache/x",
    "gem": "var/lib/gems/3.1.0/cache/rails.gem",
    "yarn": "usr/local/share/.cache/yarn/v6/x",
    "composer": "root/.composer/cache/x",
}
DOCKERFILE = "FROM debian:12\nRUN apt-get update\nRUN pip install flask\n"


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


def write(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Write the page of an image that has everything: nine managers, a late clean-up, a Dockerfile, another image."""
    layers = [
        layer({"etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "usr/lib/libx.so": 500_000}),
        layer({path: 90_000 + 20_000 * index for index, path in enumerate(CACHES.values())}),
        layer({"var/lib/apt/.wh.lists": 0, "usr/share/doc/x": 300_000}),
    ]
    history = [
        {"created_by": "/bin/sh -c #(nop) ADD file:0 in / "},
        {"created_by": "RUN /bin/sh -c apt-get update && pip install flask && " + "npm ci && " * 9 + "true # buildkit"},
        {"created_by": "RUN /bin/sh -c rm -rf /var/lib/apt/lists # buildkit"},
    ]
    name = "registry.example_team_some-service-with-a-long-name"
    one = docker_save(folder / f"{name}-before.tar", layers, config(layers, history))
    two = docker_save(folder / f"{name}-after.tar", layers[:1], config(layers[:1]))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    page = folder / "page.html"
    arguments = ["audit", one, "--compare", two, "--dockerfile", str(folder / "Dockerfile"), "--format", "html"]
    assert main(arguments) == 0
    page.write_text(capsys.readouterr().out)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_is_legible(width: int, scheme: str, tab: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tab.show(write(tmp_path, capsys), width, scheme)
    assert tab.ask("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    assert tab.ask(NARROW) == [], "words stand a few letters a line"
    worst = tab.ask(CONTRAST)
    assert worst[0][0] >= 4.5, worst
    assert tab.ask("document.querySelectorAll('.map .cache span').length") >= len(CACHES) - 1
    if where := os.environ.get("CLEANROOM_PICTURES"):
        tab.photograph(Path(where) / f"audit-{width}-{scheme}.png")


@pytest.mark.parametrize("name", ["index", "managers/apt", "managers/conda"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_site_of_recipes_is_legible(width: int, name: str, tab: Browser, tmp_path: Path) -> None:
    assert main(["export", "html", "-o", str(tmp_path)]) == 0
    tab.show(tmp_path / f"{name}.html", width)
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask(NARROW) == []
    worst = tab.ask(CONTRAST)
    assert worst[0][0] >= 4.5, worst


def test_a_page_that_is_not_legible_is_seen(tab: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><p style='width:9px;overflow-wrap:anywhere'>letters<p style='color:#999'>pale"
        "<p style='width:2000px;background:#fff'>wide"
    )
    tab.show(page, 390)
    assert tab.ask("document.documentElement.scrollWidth") > 390
    assert tab.ask(NARROW) == [[7, "letters"]]
    assert tab.ask(CONTRAST)[0] == [2.85, "pale"]
