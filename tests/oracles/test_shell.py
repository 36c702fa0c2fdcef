"""The shell reader against others' truth: hand-written parses, and shfmt's reader on real scripts."""

from __future__ import annotations

import os
import runpy
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from cleanroom.syntax import dockerfile, shell
from cleanroom.syntax.text import MappedText
from tests.oracles.trees import ours, shfmts
from tests.support import SHARED
from tests.support.operators import operators

TRUTH = SHARED / "suites" / "shell_truth.py"
CORPUS = SHARED / "corpus" / "dockerfiles.tar.xz"

pytestmark = pytest.mark.shared


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


def corpus() -> dict[str, list[str]]:
    """The scripts that stand in a RUN, each with where (file:line), in every tenth file.

    In every file when CLEANROOM_FULL_CORPUS is 1.
    """
    step = 1 if os.environ.get("CLEANROOM_FULL_CORPUS") == "1" else 10
    found: dict[str, list[str]] = {}
    with tarfile.open(CORPUS) as archive:
        for member in [member for member in archive if member.isfile()][::step]:
            content = archive.extractfile(member)
            assert content is not None
            try:
                parsed = dockerfile.parse(content.read().decode("utf-8", "replace"))
            except dockerfile.DockerfileError:
                continue
            for instruction in parsed.instructions:
                if instruction.keyword == "RUN" and instruction.exec_form is None:
                    for script in scripts(instruction):
                        found.setdefault(script, []).append(f"{member.name}:{instruction.line}")
    return found


def scripts(instruction: dockerfile.Instruction) -> list[str]:
    """The script of a RUN; of one with here-documents also their bodies."""
    if not instruction.heredocs:
        return [instruction.arguments.text]
    documents = "".join(f"{heredoc.body.text}{heredoc.name}\n" for heredoc in instruction.heredocs)
    return [f"{instruction.arguments.text}\n{documents}", *(heredoc.body.text for heredoc in instruction.heredocs)]


@pytest.mark.skipif(not CORPUS.is_file(), reason=f"needs ../shared/corpus/{CORPUS.name}")
@pytest.mark.skipif(shutil.which("shfmt") is None, reason="the extra named oracle is not installed")
def test_corpus_is_read_as_shfmt_reads_it() -> None:
    """Both give the same tree (words, assignments, redirects, joins, substitutions) or refuse it, as PowerShell."""
    found = corpus()
    assert len(found) > 900
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        trees = list(pool.map(lambda script: (ours(script), shfmts(script)), found))
    assert sum(one is not None for one, _ in trees) > 0.99 * len(trees)
    assert [found[script] for script, (one, other) in zip(found, trees, strict=True) if one != other] == []
