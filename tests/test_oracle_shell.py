"""The shell reader against texts with hand-written parses."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from shell_operators import operators

from cleanroom import shell
from cleanroom.text import MappedText

TRUTH = Path(__file__).parents[2] / "shared" / "suites" / "shell_truth.py"


@pytest.mark.shared
@pytest.mark.skipif(
    not TRUTH.is_file(), reason="needs ../shared/suites/shell_truth.py, which this checkout has not beside it"
)
def test_commands_constructs_and_operators() -> None:
    cases = runpy.run_path(str(TRUTH))["CASES"]
    assert len(cases) > 30
    wrong = {}
    for name, (text, joints, expected) in cases.items():
        tree = shell.parse(MappedText([(text, 0)]))
        found = [
            ("/".join(containers), " ".join(word.raw for word in command.words).split())
            for containers, command in shell.commands(tree)
            if command.words
        ]
        told = [(containers, words.replace("\\\n", " ").split()) for containers, words in expected]
        if (operators(tree), found) != (joints, told):
            wrong[name] = operators(tree), found
    assert wrong == {}
