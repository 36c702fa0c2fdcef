"""Console sessions as our pages show them: commands behind ``$ ``, and what each prints; ``…`` stands for anything."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    command: str
    output: str


def steps(block: str) -> list[Step]:
    """Return the commands in the text of a console block, each with what is shown below it."""
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        found.append(Step(command, output.strip("\n")))
    return found


def run(session: Sequence[Step], folder: Path, environment: Mapping[str, str]) -> None:
    """Run the commands in one shell; assert that each prints what is shown and has no trouble (exit code 2 or more)."""
    script = "".join(f"printf '\\001'\n{{ {step.command}\n}} </dev/null\nprintf '\\002%d' $?\n" for step in session)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    results = [part.rpartition("\x02") for part in done.stdout.split("\x01")[1:]]
    assert len(results) == len(session), done.stdout + done.stderr
    for step, (printed, _, code) in zip(session, results, strict=True):
        shown = ".*".join(map(re.escape, step.output.split("…")))
        assert int(code) < 2, f"$ {step.command}\nexits {code}:\n{printed}{done.stderr}"
        assert re.fullmatch(shown, printed.strip("\n"), re.DOTALL), f"$ {step.command}\nprints:\n{printed}{done.stderr}"
