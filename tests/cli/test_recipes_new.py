"""``recipes new``: what it writes is a valid recipe, in canonical form, and does what was said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLEANROOM = [sys.executable, "-m", "cleanroom"]
NEEDED = ("--summary", "zap packages", "--homepage", "https://zap.example", "--path", "~/.zap")
SOURCE = ("--source", "https://zap.example/caching")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CLEANROOM, *arguments], cwd=folder, input="", capture_output=True, text=True, check=False)


def test_what_it_writes_is_valid_at_once(tmp_path: Path) -> None:
    done = run(
        tmp_path, "recipes", "new", "zap", *NEEDED, *SOURCE, "--verb", "add", "--prevent=--no-cache", "-o", "own"
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "own/zap.yaml").read_text("utf-8")
    assert text.startswith("# yaml-language-server: $schema=./recipe.schema.json\nid: zap\n")
    assert sorted(path.name for path in (tmp_path / "own").iterdir()) == ["recipe.schema.json", "zap.yaml"]
    for command in ("validate", "fmt --check"):
        assert run(tmp_path, "recipes", *command.split(), "own").returncode == 0
    assert run(tmp_path, "query", "zap", "--recipes", "own").stdout == "rm -rf ~/.zap\n"
    assert run(tmp_path, "query", "zap", "--prefer", "prevent", "--recipes", "own").stdout == "--no-cache\n"
    (tmp_path / "Dockerfile").write_text("FROM debian:12\nRUN zap add x\nRUN zap install x\nRUN zap add --no-cache x\n")
    found = run(tmp_path, "check", "Dockerfile", "--recipes", "own", "--select", "left-behind")
    assert [line.partition(" ")[0] for line in found.stdout.splitlines() if line[:1] != " "][:1] == ["Dockerfile:2:5"]
    assert "1 finding in" in found.stderr
    again = run(tmp_path, "recipes", "new", "zap", *NEEDED, *SOURCE, "-o", "own")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("zap",), "give --summary, --homepage, --path, --source"),
        (("zap", *NEEDED), "give --source"),
        (("Zap", *NEEDED, *SOURCE), "cannot be the name of a recipe"),
        (
            ("apt", *NEEDED, *SOURCE),
            "'apt' belongs to the recipe apt (built-in); to stand in for it, say --replaces apt",
        ),
        (("zap", "--executable", "npx", *NEEDED, *SOURCE), "'npx' belongs to the recipe npm"),
        (("zap", "--replaces", "atp", *NEEDED, *SOURCE), "did you mean"),
        (("zap", *NEEDED, "--source", "here"), "must be an http or https URL"),
        (("zap", *NEEDED, *SOURCE, "--clean", "a\nUSER root"), "must be one line"),
        (("zap", *NEEDED, *SOURCE, "--clean", "a # b"), "must not have a comment"),
        (("zap", *NEEDED, *SOURCE, "--prevent", "no-cache"), "an option begins with '-'"),
    ],
)
def test_what_makes_no_recipe_is_said_and_nothing_written(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "recipes", "new", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_one_that_stands_in_for_another(tmp_path: Path) -> None:
    done = run(tmp_path, "recipes", "new", "our-apt", "--replaces", "apt", "--executable", "apt-get", *NEEDED, *SOURCE)
    assert done.returncode == 0, done.stderr
    assert run(tmp_path, "query", "apt-get", "--recipes", "our-apt.yaml").stdout == "rm -rf ~/.zap\n"


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [*CLEANROOM, "recipes", "new", "zap", "--summary", "zap packages"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = ""
    for question, answer in [
        ("Its homepage (a URL): ", "zap"),
        ("must be an http or https URL", ""),
        ("Its homepage (a URL): ", "https://zap.example"),
        ("such as ~/.cache/zap: ", "~/.zap"),
        ("[install]: ", "install, add"),
        ("[rm -rf ~/.zap]: ", ""),
        ("(Enter for none): ", ""),
        ("documented or measured (a URL): ", "https://zap.example/caching"),
    ]:
        while question not in said:
            said += os.read(mine, 4096).decode()
        said = said.partition(question)[2]
        if question.endswith(": "):
            os.write(mine, f"{answer}\n".encode())
    assert process.wait() == 0
    os.close(mine)
    text = (tmp_path / "zap.yaml").read_text("utf-8")
    assert "- verbs: [install, add]\n" in text
    assert "run: rm -rf ~/.zap\n" in text
    assert run(tmp_path, "recipes", "validate", ".").returncode == 0
