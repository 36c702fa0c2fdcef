"""The Dockerfile reader: cases, spans, words, variables, and input that nobody would write."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.syntax.dockerfile import (
    Dockerfile,
    DockerfileError,
    Heredoc,
    Instruction,
    assignments,
    expand,
    parse,
    unquote,
)
from tests.support import case_file

CASES: list[dict[str, Any]] = case_file("syntax/dockerfile.yaml")


def described(text: str, instruction: Instruction, expected: dict[str, Any]) -> dict[str, Any]:
    """What ``instruction`` is, in the words of the cases, as far as a case asks."""
    onbuild = "ONBUILD " if instruction.onbuild else ""
    found: dict[str, Any] = {"is": f"{onbuild}{instruction.keyword} {instruction.line} {instruction.end_line}"}
    views = {
        "arguments": lambda: instruction.arguments.text,
        "flags": lambda: [flag.text for flag in instruction.flags],
        "exec_form": lambda: instruction.exec_form and [argument.text for argument in instruction.exec_form],
        "words": lambda: [word.text for word in instruction.words()],
        "assignments": lambda: [[item.name, item.value] for item in assignments(instruction)],
        "heredocs": lambda: [
            described_heredoc(text, *both) for both in zip(instruction.heredocs, expected["heredocs"], strict=True)
        ],
    }
    for key in expected.keys() - {"is"}:
        found[key] = views[key]()
    if expected.get("exec_form") == []:
        assert instruction.exec_form == ()
        found["exec_form"] = []
    return found


def described_heredoc(text: str, heredoc: Heredoc, expected: dict[str, Any]) -> dict[str, Any]:
    marker = text[heredoc.marker.start : heredoc.marker.end]
    return {key: {"body": heredoc.body.text, "marker": marker}.get(key, getattr(heredoc, key)) for key in expected}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    text = case["text"]
    if "error" in case:
        with pytest.raises(DockerfileError) as raised:
            parse(text)
        assert f"{raised.value.line}:{raised.value.column}" == case["error"]["at"]
        assert case["error"]["message"] in str(raised.value)
        return
    dockerfile = parse(text)
    assert dockerfile.text == text
    check_offsets(text)
    if "instructions" in case:
        both = zip(dockerfile.instructions, case["instructions"], strict=True)
        assert [described(text, *pair) for pair in both] == case["instructions"]
    if "directives" in case:
        assert [[d.name, d.value, d.line] for d in dockerfile.directives] == case["directives"]
    if "comments" in case:
        assert [[comment.line, comment.text] for comment in dockerfile.comments] == case["comments"]
    if "stages" in case:
        assert [
            {"base": stage.base, "name": stage.name, "instructions": len(stage.instructions)}
            for stage in dockerfile.stages
        ] == case["stages"]
        assert [stage.index for stage in dockerfile.stages] == list(range(len(dockerfile.stages)))
    assert dockerfile.escape == case.get("escape", dockerfile.escape)
    assert len(dockerfile.global_arguments) == case.get("global_arguments", len(dockerfile.global_arguments))


def check_offsets(text: str) -> None:
    """Everything that is read stands in the file where it says."""
    dockerfile = parse(text)
    for comment in dockerfile.comments:
        assert text[comment.span.start : comment.span.end] == f"#{comment.text}"
    end = 0
    for instruction in dockerfile.instructions:
        span = instruction.span
        assert end <= span.start < span.end <= len(text)
        end = span.end
        assert text[end : end + 1] in {"", "\r", "\n"}
        assert text.count("\n", 0, span.end) + 1 == instruction.end_line
        for mapped in (instruction.arguments, *(heredoc.body for heredoc in instruction.heredocs)):
            assert all(text[mapped.offset(i)] == character for i, character in enumerate(mapped.text))
        for part in (*instruction.flags, *instruction.words(), *(assignments(instruction))):
            assert span.start < part.span.start < part.span.end <= span.end
        for heredoc in instruction.heredocs:
            assert text[heredoc.marker.start :].startswith("<<")


def test_spans() -> None:
    text = "# a\nFROM x\n ONBUILD RUN --a=b \\\n # c\n  'd e' <<F\nG\nF  \nF\n\n"
    instruction = parse(text).instructions[1]
    assert text[instruction.span.start : instruction.span.end] == text[text.index("ONBUILD") : -2]
    (flag,) = instruction.flags
    assert text[flag.span.start : flag.span.end] == "--a=b"
    assert [text[word.span.start : word.span.end] for word in instruction.words()] == ["'d e'", "<<F"]


def test_span_of_a_json_string_is_that_of_its_literal() -> None:
    text = 'RUN ["a", \\\n "b\\u0041"]'
    words = parse(text).instructions[0].words()
    assert [word.text for word in words] == ["a", "bA"]
    assert [text[word.span.start : word.span.end] for word in words] == ['"a"', '"b\\u0041"']


def test_span_of_an_assignment() -> None:
    text = "ENV a=b \\\n c='d e'\nENV f  g h\n"
    spans = [item.span for instruction in parse(text).instructions for item in assignments(instruction)]
    assert [text[span.start : span.end] for span in spans] == ["a=b", "c='d e'", "f  g h"]


def test_implicit_stage_begins_with_its_own_first_instruction() -> None:
    (stage,) = parse("RUN a\nRUN b\n").stages
    assert stage.instruction is stage.instructions[0]


def test_flag_text() -> None:
    assert [(flag.name, flag.value, flag.text) for flag in parse("RUN --a --b= --c=d e\n").instructions[0].flags] == [
        ("a", None, "--a"),
        ("b", "", "--b="),
        ("c", "d", "--c=d"),
    ]


def test_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(DockerfileError("a", 2, 3)))
    assert (str(error), error.message, error.line, error.column) == ("a", "a", 2, 3)


@pytest.mark.parametrize("length", [65_535, 65_536])
def test_longest_line(length: int) -> None:
    text = "FROM a\n" + "RUN é".ljust(length - 1, "x") + "\r\nRUN b\n"
    if length == 65_535:
        assert len(parse(text).instructions) == 3
    else:
        with pytest.raises(DockerfileError, match="longer than 65535 bytes"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "escape", "expected"),
    [
        ("a", "\\", "a"),
        ("", "\\", ""),
        ("'a b'c\"d e\"", "\\", "a bcd e"),
        ("$a '${b}'", "\\", "$a ${b}"),
        ("\\a\\'\\\\", "\\", "a'\\"),
        ("'a\\'", "\\", "a\\"),
        ('"a\\"\\$\\\\\\b"', "\\", 'a"$\\\\b'),
        ("\"'\"'\"'", "\\", "'\""),
        ("c:\\a` b'`'", "`", "c:\\a b`"),
        ('"a`"\\"', "`", 'a"\\'),
        ("'a", "\\", "a"),
        ('"a\\', "\\", "a"),
        ("a\\", "\\", "a"),
    ],
)
def test_unquote(text: str, escape: str, expected: str) -> None:
    assert unquote(text, escape) == expected


VALUES = {"a": "x", "empty": "", "none": None, "path": "/usr/lib/a.tar.gz", "n": "1", "stars": "a*b*c", "pattern": "*."}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("b", "b"),
        ("$a", "x"),
        ("$a$a/${a}b $ab", "xx/xb "),
        ('\'$a\' "$a" \\$a "\\$a"', "$a x $a $a"),
        ("\"'$a'\"", "'x'"),
        ('"\\a\\""', '\\a"'),
        ("$", "$"),
        ("a$ b", "a$ b"),
        ("$1b$$c$?", "bc"),
        ("$none/${none}", "?/?"),
        ("$unset${unset}", ""),
        ("${a:-b}${unset:-b}${empty:-b}${none:-b}", "xbb?"),
        ("${a-b}${unset-b}${empty-b}", "xb"),
        ("${a:+b}${unset:+b}${empty:+b}${none:+b}", "b?"),
        ("${a+b}${unset+b}${empty+b}", "bb"),
        ("${a:?b}${a?b}${empty?b}", "xx"),
        ("${unset:-$a'}'\"}\"\\}}", "x}}}"),
        ("${unset:-${unset:-${a}}}/", "x/"),
        ('"${unset:-"b c"}"', "b c"),
        ("${unset:-a/b}", "a/b"),
        ("}/", "}/"),
        ("${path#*/}", "usr/lib/a.tar.gz"),
        ("${path##*/}", "a.tar.gz"),
        ("${path%.*}", "/usr/lib/a.tar"),
        ("${path%%.*}", "/usr/lib/a"),
        ("${path#/???/}", "lib/a.tar.gz"),
        ("${path#b}${path%b}", "/usr/lib/a.tar.gz" * 2),
        ("${path#}${a##}${a%%}", "/usr/lib/a.tar.gzxx"),
        ("${path#*}", "/usr/lib/a.tar.gz"),
        ("${path##*}|${path%%*}", "|"),
        ("${path##$pattern}", "gz"),
        ("${stars#a\\*}", "b*c"),
        ("${stars%%\\**}", "a"),
        ("${stars/\\*/+}", "a+b*c"),
        ("${stars//\\*/+}", "a+b+c"),
        ("${path//\\//\\\\}", "\\\\usr\\\\lib\\\\a.tar.gz"),
        ("${path/usr*a/b}", "/br.gz"),
        ("${path//?/b}", "b" * 17),
        ("${path/\\/}", "?"),
        ("${path/nowhere/b}", "/usr/lib/a.tar.gz"),
        ("${a/$empty/b}${a//$empty/b}", "bxbxb"),
        ("${a//*/b}${empty//*/b}", "bb"),
        ("${unset/a/b}", ""),
        ("${none/a/b}${path#$none}", "??"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, VALUES, unknown="?") == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "b${a",
            "b${",
            "b${}",
            "b${:-c}",
            "b${a,,}",
            "b${a:=c}",
            "b${a:#c}",
            "b${a[0]}",
            "b${a:-c",
            "b${a/c}",
            "b${a/c/d",
        ),
        *("b'c", 'b"c', '"${a:-"}"', "${unset?no}", "${empty:?no}", "${unset:?}", "${-a}"),
    ],
)
def test_expand_what_buildkit_refuses(text: str) -> None:
    assert expand(text, VALUES) == "\x00"


def test_expand_with_the_backtick() -> None:
    assert expand('c:\\$a`$a"`""', VALUES, "`") == 'c:\\x$a"'


def test_expand_to_nothing_when_unknown() -> None:
    assert expand("a$none${a#x}", VALUES, unknown="") == "a"


# Text with much of what means something to the reader.
TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            [
                *(
                    "FROM a",
                    "RUN ",
                    "ENV ",
                    "COPY ",
                    "ONBUILD ",
                    "ARG ",
                    "HEALTHCHECK CMD ",
                    "a",
                    "=",
                    " ",
                    "\t",
                    "--x=y ",
                    "--",
                ),
                *(
                    "\n",
                    "\n",
                    "\r\n",
                    "\\\n",
                    "\\",
                    "`",
                    "#",
                    "# escape=`\n",
                    "<<A",
                    "<<-",
                    "<<",
                    "A",
                    "\nA\n",
                    "'",
                    '"',
                    "$",
                ),
                *(
                    "${",
                    "}",
                    ":-",
                    "/",
                    "[",
                    "]",
                    '"a"',
                    ",",
                    "\x00",
                    "\ufeff",
                    "\u00a0",
                    "\u2028",
                    "\x1c",
                    "\f",
                    "é",
                    "\ud800",
                ),
            ]
        ),
        max_size=40,
    ).map("".join),
)


def read(text: str) -> Dockerfile | DockerfileError:
    try:
        return parse(text)
    except DockerfileError as error:
        return error


@given(TEXTS)
def test_any_text_is_a_dockerfile_or_an_error(text: str) -> None:
    result = read(text)
    if isinstance(result, DockerfileError):
        assert 1 <= result.line <= text.count("\n") + 1
        assert result.column >= 1
    else:
        check_offsets(text)


@given(TEXTS, st.sampled_from("\\`"))
def test_any_text_expands(text: str, escape: str) -> None:
    expand(text, {"a": text, "A": None}, escape)
    unquote(text, escape)


@given(st.text(alphabet="ab*?\\/", max_size=8), st.text(alphabet="ab*", max_size=8))
def test_longest_and_shortest_match(pattern: str, value: str) -> None:
    values = {"v": value, "p": pattern}
    shortest, longest = expand("${v#$p}", values), expand("${v##*$p}", values)
    assert value.endswith(shortest)
    assert shortest.endswith(longest) or len(longest) >= len(shortest)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("FROM a\nRUN " + "x" * 10_000_000, id="a line of 10 MB"),
        pytest.param("\x00" * 10_000_000, id="10 MB of NUL"),
        pytest.param("\r" * 10_000_000, id="10 MB of carriage returns"),
        pytest.param("FROM a\nRUN a" + " \\\n  b" * 100_000, id="100,000 continued lines"),
        pytest.param("FROM a\nRUN \\\n" + "<<A \\\n" * 100_000 + "\n" + "A\n" * 100_000, id="100,000 heredocs"),
        pytest.param("FROM a\nRUN \\\n" + "<<A \\\n" * 100_000 + "\nA\n", id="100,000 heredocs that are not closed"),
        pytest.param("FROM a\nRUN <<A\n" + "b\n" * 200_000, id="a heredoc of 200,000 lines that is not closed"),
        pytest.param("FROM a\nRUN " + "[" * 65_000 + "]", id="nested arrays"),
        pytest.param('FROM a\nRUN ["' + '\\"' * 32_000 + "]", id="a string that is not closed"),
        pytest.param("FROM a\nRUN <<A \\\n" + ("${a:-" * 10_000 + "\\\n") * 10, id="nested substitutions"),
        pytest.param("FROM a\nENV \\\n" + "a='b \\\n" * 50_001, id="quotes over many lines"),
        pytest.param("# escape=" + " " * 65_000 + "x\n", id="blanks in a directive"),
        pytest.param("FROM a\n" + ("\\ " * 32_000 + "\n") * 10, id="escape characters"),
        pytest.param("x\\\n" * 1_000_000, id="a keyword of 1 MB"),
    ],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    begin = time.process_time()
    result = read(text)
    assert time.process_time() - begin < 5  # a second or two where nothing else runs
    assert not isinstance(result, DockerfileError) or len(str(result)) < 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("${unset:-x" * 50_000 + "}" * 50_000, id="nested substitutions"),
        pytest.param("${long//" + "*a" * 5_000 + "b/c}", id="a pattern with many stars"),
        pytest.param("${long%%" + "*a?" * 5_000 + "b}", id="a suffix with many stars"),
        pytest.param("'" * 1_000_001, id="quotes"),
        pytest.param("\\" * 1_000_001, id="escape characters"),
    ],
)
def test_hostile_words_take_no_time(text: str) -> None:
    begin = time.process_time()
    expand(text, {"long": "a" * 60_000})
    unquote(text)
    assert time.process_time() - begin < 5
