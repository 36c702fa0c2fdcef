"""A check without options is answered without click, and no one can tell."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cleanroom import __main__, cli
from cleanroom.project import check as checking

DIRTY = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, text in {
        "dirty/Dockerfile": DIRTY,
        "clean/Dockerfile": "FROM debian:12\n",
        "broken/Dockerfile": "FROM debian:12\nCOPY a\n",
        "odd/Dockerfile": "FROM debian:12\nRUN apt-get update # \ud800 é \x1b[31m\n",
        "settings/Dockerfile": DIRTY,
        "settings/cleanroom.toml": 'ignore = ["apt"]\n',
        "wrong/Dockerfile": DIRTY,
        "wrong/cleanroom.toml": 'ignore = ["left-behnd"]\n',
        "worse/Dockerfile": DIRTY,
        "worse/cleanroom.toml": "ignor = 1\n",
        "empty/notes.txt": "",
    }.items():
        file = tmp_path / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))


PLAIN = [
    *(["check", name] for name in ("dirty", "clean", "broken", "odd", "settings", "empty", "dirty/Dockerfile", "none")),
    ["check", "dirty", "clean", "dirty/Dockerfile", "empty", "none", "broken"],
    ["check", "-"],
    ["check", "-", "dirty", "-"],
]
NOT_PLAIN = [
    *(["query", name] for name in ("apt", "apt-get", "pip3.12")),
    [],
    ["query"],
    ["query", "atp"],
    ["query", ""],
    ["query", "apt", "pip"],
    ["query", "apt", "--cache", "lists"],
    ["query", "-h"],
    ["check"],
    ["check", "wrong"],
    ["check", "empty", "worse"],
    ["check", "--format", "json", "dirty"],
    ["check", "-v", "broken"],
    ["check", "--", "dirty"],
    ["list"],
    ["chekc", "dirty"],
    ["--version"],
]


@pytest.mark.parametrize("arguments", PLAIN + NOT_PLAIN, ids=" ".join)
def test_both_ways_say_the_same(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(main: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DIRTY.encode())))
        assert callable(main)
        return main(arguments), *capsys.readouterr()

    assert answer(__main__.main) == answer(cli.main)


def test_colours_are_those_of_click(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    monkeypatch.setenv("FORCE_COLOR", "1")
    assert __main__.main(["check", "dirty"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(click.style("dirty/Dockerfile:2:5", bold=True))
    assert click.style("warning", fg="yellow") in printed
    assert click.style("|", dim=True) in printed


def test_what_no_one_foresaw_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr(checking, "run", fail)
    answers = [(main(["check", "dirty"]), *capsys.readouterr()) for main in (__main__.main, cli.main)]
    assert answers[0] == answers[1]
    assert answers[0] == (2, "", "Error: internal error: RuntimeError: first; run again with -v for the traceback\n")


def test_an_interrupted_check_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "run", interrupt)
    answers = [(main(["check", "dirty"]), *capsys.readouterr()) for main in (__main__.main, cli.main)]
    assert answers[0] == answers[1] == (130, "", "\nInterrupted.\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    files = ["dirty/Dockerfile"] * 3
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "cleanroom", "check", *files]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (result.returncode, "Traceback" in result.stderr) == (141, False)


@pytest.mark.parametrize(
    "arguments", [["query", "apt"], ["check", "dirty", "none"], ["check", "dirty"], ["query", "atp"]]
)
def test_the_installed_command_ends_as_main_does(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = f"import sys; sys.argv = ['cleanroom', *{arguments}]; from cleanroom.__main__ import run; run()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (__main__.main(arguments), *capsys.readouterr())
