"""The Dockerfile reader against others' truth: hand-written parses, and BuildKit's own reader on real files."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from cleanroom.syntax.dockerfile import KEYWORDS, DockerfileError, Instruction, parse
from tests.support import SHARED

TRUTH = SHARED / "suites" / "dockerfile_truth.py"

pytestmark = pytest.mark.shared


def truth_cases() -> dict[str, Any]:
    cases: dict[str, Any] = runpy.run_path(str(TRUTH))["CASES"] if TRUTH.exists() else {}
    return cases


def described(instruction: Instruction, expected: tuple[Any, ...]) -> tuple[Any, ...]:
    """``instruction`` in the form of the hand-written truth, which leaves out (None) what it does not compare."""
    _, _, _, flags, _, payload, _ = expected
    return (
        f"{'ONBUILD ' if instruction.onbuild else ''}{instruction.keyword}",
        instruction.line,
        instruction.end_line,
        flags if flags is None else tuple(flag.text for flag in instruction.flags),
        "shell" if instruction.exec_form is None else "exec",
        payload if payload is None else collapsed(instruction),
        tuple(heredoc.body.text for heredoc in instruction.heredocs),
    )


def collapsed(instruction: Instruction) -> str | tuple[str, ...]:
    if instruction.exec_form is not None:
        return tuple(argument.text for argument in instruction.exec_form)
    return " ".join(instruction.arguments.text.split())


@pytest.mark.usefixtures("shared")
def test_truth_is_not_empty() -> None:
    assert len(truth_cases()) >= 30


@pytest.mark.parametrize("name", truth_cases())
def test_truth(name: str) -> None:
    text, expected = truth_cases()[name]
    instructions = parse(text).instructions
    assert [described(*both) for both in zip(instructions, expected, strict=True)] == expected


Rows = list[tuple[Any, ...]]


def ours(text: str) -> Rows | None:
    """Keyword, keyword that ONBUILD triggers, lines, flags and, for RUN, the text; None for an error."""
    try:
        instructions = parse(text).instructions
    except DockerfileError:
        return None
    return [
        (
            "ONBUILD" if instruction.onbuild else instruction.keyword,
            instruction.keyword if instruction.onbuild else None,
            instruction.line,
            instruction.end_line,
            tuple(flag.text for flag in instruction.flags),
            run_text(instruction) if instruction.keyword == "RUN" and not instruction.onbuild else None,
        )
        for instruction in instructions
    ]


def run_text(instruction: Instruction) -> tuple[str, ...]:
    if instruction.exec_form is not None:
        return tuple(argument.text for argument in instruction.exec_form)
    return (instruction.arguments.text,) if instruction.arguments.text else ()


def buildkits(text: str) -> Rows | None:
    """The same as BuildKit reads it. An unknown instruction is an error, as it is in BuildKit's next step."""
    import dockerfile

    try:
        commands = dockerfile.parse_string(text)
    except dockerfile.GoParseError:
        return None
    if not all((command.cmd or "").upper() in KEYWORDS for command in commands):
        return None
    return [
        (
            command.cmd.upper(),
            command.sub_cmd.upper() if command.sub_cmd else None,
            command.start_line,
            command.end_line,
            command.flags,
            command.value if command.cmd.upper() == "RUN" else None,
        )
        for command in commands
    ]


@pytest.mark.oracle
def test_corpus_is_read_as_buildkit_reads_it(corpus: list[tuple[str, str]]) -> None:
    assert len(corpus) > 600
    assert [name for name, text in corpus if ours(text) != buildkits(text)] == []
