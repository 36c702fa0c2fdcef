"""What shells complete, in the shells themselves: lines that are typed, a tab, and what then stands there."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import program

LINES = [
    ("cleanroom che", "cleanroom check"),
    ("cleanroom check --format sar", "--format sarif"),
    ("cleanroom check --select left-b", "--select left-behind"),
    ("cleanroom check --select apt,over-c", "apt,over-cleaned"),
    ("cleanroom check --reader dockerf", "--reader dockerfile"),
    ("cleanroom check Contai", "check Containerfile"),
    ("cleanroom query sdkmana", "query sdkmanager"),
    ("cleanroom explain over-c", "explain over-cleaned"),
    ("cleanroom export semg", "export semgrep"),
    ("cleanroom recipes valid", "recipes validate"),
]
INIT = {
    "bash": 'PS1="ready> "; eval "$(_CLEANROOM_COMPLETE=bash_source cleanroom)"',
    "zsh": 'PS1="ready> "; autoload -Uz compinit; compinit -u -D; eval "$(_CLEANROOM_COMPLETE=zsh_source cleanroom)"',
}
ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "Containerfile").touch()
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cleanroom").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cleanroom "$@"\n')
    (folder / "cleanroom").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "HOME": str(tmp_path)}


def completed(line: str, environment: dict[str, str]) -> list[str]:
    words = line.split(" ")
    more = {"_CLEANROOM_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(["cleanroom"], env=environment | more, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_words(environment: dict[str, str]) -> None:
    assert completed("cleanroom check --format sar", environment) == ["plain,sarif"]
    assert completed("cleanroom check Contai", environment) == ["file,Contai"]
    assert completed("cleanroom fix --context ", environment) == ["dir,"]
    assert "plain,apt" in completed("cleanroom show a", environment)


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    def type(self, text: str, until: str, seconds: float = 30) -> str:
        """Type something; return what is shown once ``until`` stands there, or time is up."""
        os.write(self.master, text.encode())
        shown, end = "", time.monotonic() + seconds
        while until not in shown and time.monotonic() < end:
            if select.select([self.master], [], [], 0.2)[0]:
                shown += re.sub(
                    r"\x1b\[[0-9;?]*[A-Za-z]|\x07|\r", "", os.read(self.master, 4096).decode("utf-8", "replace")
                )
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.mark.oracle
@pytest.mark.parametrize("shell", INIT)
def test_typed(shell: str, tmp_path: Path, environment: dict[str, str]) -> None:
    terminal = Terminal([program(shell), *ARGUMENTS[shell]], tmp_path, environment)
    try:
        terminal.type(f"{INIT[shell]}; echo be''gun\n", "begun")
        for line, expected in LINES:
            shown = terminal.type(f"{line}\t\x01\x0becho '\x19' en''ded\n", "ended")
            assert expected in shown, (line, shown)
    finally:
        terminal.close()


@pytest.mark.oracle
def test_fish(tmp_path: Path, environment: dict[str, str]) -> None:
    script = "_CLEANROOM_COMPLETE=fish_source cleanroom | source\n" + "".join(
        f"complete -C '{line}'; echo ==\n" for line, _ in LINES
    )
    done = subprocess.run(
        [program("fish"), "--no-config", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = done.stdout.split("==\n")
    for (line, expected), shown in zip(LINES, found, strict=False):
        if "," in line:  # click's script for fish cuts at commas
            continue
        assert expected.rpartition(" ")[2] in shown, (line, shown)
