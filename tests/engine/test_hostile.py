"""Dockerfiles that no one would write, of which any would take minutes if nothing bounded them."""

import pytest

from cleanroom import check
from cleanroom.engine.removals import MAX_OPERANDS
from cleanroom.registries import library
from cleanroom.syntax.dockerfile import MAX_INSTRUCTIONS, MAX_LENGTH, MAX_STAGES, MAX_VALUE, expand

FROM = "FROM debian:12\n"
APT = "RUN apt-get update\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (FROM + "RUN <<E\na\nE\n" * 20_000, 3 * MAX_INSTRUCTIONS - 1, "more than 1000 instructions"),
        (FROM + "COPY a /b\n" * MAX_INSTRUCTIONS, MAX_INSTRUCTIONS + 1, "more than 1000 instructions"),
        (FROM * (MAX_STAGES + 1), MAX_STAGES + 1, "more than 250 stages"),
    ],
    ids=["here-documents", "instructions", "stages"],
)
def test_too_many_are_an_error_where_they_begin(text: str, line: int, message: str) -> None:
    (error,) = check(text).errors
    assert (error.line, error.message) == (line, message)


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (FROM + APT * (MAX_INSTRUCTIONS - 1), MAX_INSTRUCTIONS - 1),
        ((FROM + APT) * MAX_STAGES, MAX_STAGES),
        # Each on the one before; each cleans what all before it left.
        (
            f"{FROM}{APT}".replace("12", "12 AS s0")
            + "".join(f"FROM s{i} AS s{i + 1}\n{APT}RUN rm -rf /var/lib/apt/lists/*\n" for i in range(MAX_STAGES - 1)),
            MAX_STAGES,
        ),
        # Each takes all from the four before it: four ways for each step.
        (
            "".join(
                f"FROM debian:12 AS s{i}\n{APT}" + "".join(f"COPY --from=s{j} / /\n" for j in range(max(0, i - 4), i))
                for i in range(160)
            ),
            160,
        ),
    ],
    ids=["instructions", "stages", "a chain of stages", "copies of copies"],
)
def test_what_is_just_small_enough_is_checked(text: str, findings: int) -> None:
    report = check(text)
    assert not report.errors
    left = [finding for finding in report.findings if finding.rule in ("left-behind", "cleaned-late")]
    assert len(left) == findings


@pytest.mark.parametrize(
    "script",
    [
        "apt-get update;" * 600,
        "for a in 1 2 3; do " * 40 + "apt-get update" + "; done" * 40,
        "".join(f"f{i}() {{ f{i + 1}; f{i + 1}; }}; " for i in range(19)) + "f19() { apt-get update; }; f0",
    ],
    ids=["commands", "loops", "functions"],
)
def test_a_run_that_does_too_much_is_not_known(script: str) -> None:
    report = check(f"{FROM}RUN {script}\nRUN pip install a\n")
    assert "it does more than can be followed" in [item.reason for item in report.unresolved if item.line == 2]
    assert not [finding for finding in report.findings if finding.manager == "apt"]


def test_what_all_together_do_is_bounded_too() -> None:
    script = "apt-get update;" * 100
    report = check(FROM + f"RUN {script}\n" * 100)
    assert [item.line for item in report.unresolved] == list(range(51, 102))
    assert {finding.line for finding in report.findings} == set(range(2, 51))


def test_a_value_that_no_program_could_be_given_is_unknown() -> None:
    half = {"A": "a" * (MAX_VALUE // 2)}
    assert expand("$A$A", half) == half["A"] * 2
    assert expand("$A$A$A", half) == "\0"
    assert expand("${A//a/$A}", half) == "\0"
    # Each would be ten times as long as the one before.
    assert check(f"{FROM}ENV A=0123456789\n" + f"ENV A={'$A' * 10}\n" * 20 + "RUN rm -rf $A\n").errors == ()
    grow = "A=" + "$A" * 10 + "; "
    assert check(f"{FROM}RUN A=0123456789; {grow * 20} rm -rf $A\n").errors == ()


@pytest.mark.parametrize(
    "text", [FROM + "\n" * 10_000_000, f"{FROM}RUN a" + "\\\n" * 5_000_000], ids=["blank", "continued"]
)
def test_a_file_that_no_one_wrote_is_not_read(text: str) -> None:
    (error,) = check(text).errors
    assert (error.line, error.message) == (1, f"the file is longer than {MAX_LENGTH} characters")


def test_brace_expansions_without_end_are_not_known() -> None:
    bash = f'{FROM}SHELL ["bash", "-c"]\n'
    removal = "RUN apt-get update && rm -rf "
    assert not check(f"{bash}{removal}{'{a,b}' * 12_000}\n").findings
    assert not check(f"{bash}{removal}/{{{','.join(map(str, range(300)))}}}\n").findings
    assert len(check(f"{bash}{removal}/{{a,b}}\n").findings) == 1


def test_operands_without_end_are_not_known() -> None:
    many = " ".join(f"/v{number}" for number in range(MAX_OPERANDS + 1))
    assert not check(f"{FROM}RUN apt-get update; rm -rf {many}\n").findings
    assert not check(f"{FROM}RUN apt-get update; find {many} -name x -name y -delete\n").findings
    assert len(check(f"{FROM}RUN apt-get update; rm -rf {many.partition(' ')[2]}\n").findings) == 1


def test_words_and_copies_without_end_are_bounded() -> None:
    report = check(f"{FROM}RUN {'eval ' * 10_000}apt-get update\nCOPY {'a ' * 3_000}/x/\nCOPY b c /x/\n")
    assert [(item.line, item.reason) for item in report.unresolved] == [
        (2, "scripts and functions that call each other more than 20 deep are not followed further"),
        (3, "the file copies more than can be followed from here on"),
    ]


def test_no_pattern_of_a_recipe_looks_at_blank_lines_again_and_again() -> None:
    for recipe in library().recipes():
        for item in (*recipe.preventions, *recipe.settings, *recipe.lean):
            assert "^\\s" not in item.pattern, f"{recipe.id}: write ^[ \\t]*, since \\s takes line ends too"
            assert not item.pattern.startswith("(?is)(?="), f"{recipe.id}: begin it with \\A"


def test_a_comment_of_many_signs_at_the_end_of_the_file() -> None:
    (finding,) = check(f"{FROM}RUN apt-get update && apt-get install -y curl {'#' * 5_000}").findings
    assert finding.cache == "lists"
