"""The shell reader against others' truth: hand-written parses, and shfmt's reader on real scripts."""

from __future__ import annotations

import os
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cleanroom.syntax import dockerfile, shell
from cleanroom.syntax.text import MappedText
from tests.oracles.trees import ours, shfmts
from tests.support.operators import operators

pytestmark = pytest.mark.shared


def test_commands_constructs_and_operators(shared: Path) -> None:
    cases = runpy.run_path(str(shared / "suites/shell_truth.py"))["CASES"]
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


def scripts_of(files: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the scripts in RUNs, each with where it is (file:line)."""
    found: dict[str, list[str]] = {}
    for name, text in files:
        try:
            parsed = dockerfile.parse(text)
        except dockerfile.DockerfileError:
            continue
        for instruction in parsed.instructions:
            if instruction.keyword == "RUN" and instruction.exec_form is None:
                for script in scripts(instruction):
                    found.setdefault(script, []).append(f"{name}:{instruction.line}")
    return found


def scripts(instruction: dockerfile.Instruction) -> list[str]:
    """The script of a RUN; of one with here-documents also their bodies."""
    if not instruction.heredocs:
        return [instruction.arguments.text]
    documents = "".join(f"{heredoc.body.text}{heredoc.name}\n" for heredoc in instruction.heredocs)
    return [f"{instruction.arguments.text}\n{documents}", *(heredoc.body.text for heredoc in instruction.heredocs)]


@pytest.mark.oracle
def test_corpus_is_read_as_shfmt_reads_it(corpus: list[tuple[str, str]]) -> None:
    """Both give the same tree (words, assignments, redirects, joins, substitutions) or refuse it, as PowerShell."""
    found = scripts_of(corpus)
    assert len(found) > 900
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        trees = list(pool.map(lambda script: (ours(script), shfmts(script)), found))
    assert sum(one is not None for one, _ in trees) > 0.99 * len(trees)
    assert [found[script] for script, (one, other) in zip(found, trees, strict=True) if one != other] == []
