"""The links of recipes: their form, and whether they lead somewhere, asked of a real server on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cleanroom.cli import main
from cleanroom.recipes.links import Link, fault_of, form_problems, links, unreachable
from cleanroom.recipes.load import RECIPES
from cleanroom.recipes.model import RecipeError
from tests.support import case_file

CASES = case_file("library/links.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["url"])
def test_form(case: dict[str, str]) -> None:
    fault = fault_of(case["url"])
    assert fault.startswith(f"{case['url']} {case['fault']}") if "fault" in case else fault == ""


def test_places_and_doubles() -> None:
    text = """\
homepage: https://a.example
hazards:
  - id: one
    source: https://b.example/x
sources:
  - https://a.example/
  - https://b.example/x
  - https://B.example/x/
"""
    found = list(links(text, "r.yaml"))
    assert [(link.line, link.column, link.url) for link in found] == [
        (1, 11, "https://a.example"),
        (4, 13, "https://b.example/x"),
        (6, 5, "https://a.example/"),
        (7, 5, "https://b.example/x"),
        (8, 5, "https://B.example/x/"),
    ]
    assert list(map(str, form_problems(found))) == ["r.yaml:8:5: https://B.example/x/ stands in line 7 already"]
    with pytest.raises(RecipeError):
        list(links("a: [", "r.yaml"))


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_links_of_the_recipes_that_ship(path: Path) -> None:
    found = list(links(path.read_bytes(), path.name))
    assert found
    assert "\n".join(map(str, form_problems(found))) == ""


_DONE = threading.Event()  # set when what is silent may answer, to nobody


class _Server(BaseHTTPRequestHandler):
    """Answers with the number that the path begins with; HEAD may have one of its own: /405-200."""

    def do_HEAD(self) -> None:
        self._answer(0)

    def do_GET(self) -> None:
        self._answer(-1)

    def _answer(self, which: int) -> None:
        word = self.path.strip("/").split("/")[0]
        if word == "silent":
            _DONE.wait()
            word = "200"
        code = int(word.split("-")[which])
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/200/there")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=serving.serve_forever)
    _DONE.clear()
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    _DONE.set()
    serving.shutdown()
    thread.join()
    serving.server_close()


def test_online(server: str) -> None:
    words = ["200", "404", "302", "405-200", "403", "500", "404-200", "200#part"]
    found = [
        Link(file="r.yaml", line=line, column=1, url=f"{server}/{word}", field="sources")
        for line, word in enumerate(words, 1)
    ]
    closed = Link(file="r.yaml", line=99, column=1, url="http://127.0.0.1:1/", field="sources")
    messages = {problem.line: problem.message for problem in unreachable([*found, closed], timeout=60)}
    assert messages.keys() == {2, 6, 99}
    assert messages[2] == f"{server}/404: the server answers 404 Not Found"
    assert "500" in messages[6]
    assert "refused" in messages[99]


def test_a_server_that_says_nothing(server: str) -> None:
    link = Link(file="r.yaml", line=1, column=1, url=f"{server}/silent", field="sources")
    (problem,) = unreachable([link], timeout=0.1)
    assert "timed out" in problem.message


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("homepage: https://a.example\nsources: [http://b.example]\n")
    assert main(["recipes", "links", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{file}:2:11: http://b.example does not begin with https://\n"
    file.write_text("homepage: https://a.example\n")
    assert main(["recipes", "links", str(file)]) == 0
    assert capsys.readouterr() == ("", "1 link checked by its form\n")
    assert main(["recipes", "links", str(tmp_path / "none.yaml")]) == 2
    # No name below .invalid exists: https and all, the command comes to its end and says so.
    file.write_text("homepage: https://recipes.invalid/x\n")
    assert main(["recipes", "links", "--online", "--timeout", "5", str(file)]) == 1
    assert "https://recipes.invalid/x: no answer: " in capsys.readouterr().out
