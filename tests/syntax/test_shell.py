from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.syntax.shell import (
    AndOr,
    Command,
    For,
    Function,
    If,
    Item,
    Literal,
    Node,
    Parameter,
    Pipeline,
    Sequence,
    ShellError,
    Substitution,
    Word,
    commands,
    parse,
    unquoted,
)
from cleanroom.syntax.text import MappedText, Span
from tests.support import case_file
from tests.support.operators import operators

CASES = case_file("syntax/shell.yaml")


def scattered(script: str) -> tuple[str, MappedText]:
    """Return a file in which ``script`` stands in pieces, as in a RUN with continued lines, and its mapping."""
    file, pieces = "RUN ", []
    for piece in re.split(r"(?<= )(?=\w)", script):
        pieces.append((piece, len(file)))
        file += f"{piece}\\\n"
    return file, MappedText(pieces)


def read(script: str) -> Sequence:
    return parse(scattered(script)[1])


def only(script: str) -> Node:
    (item,) = read(script).items
    return item.node


def words(script: str) -> tuple[Word, ...]:
    command = only(script)
    assert isinstance(command, Command)
    return command.words


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: dict[str, Any]) -> None:
    file, script = scattered(case["script"])
    if "error" in case:
        with pytest.raises(ShellError, match=re.escape(case["error"])) as caught:
            parse(script)
        assert 0 <= caught.value.span.start <= caught.value.span.end <= len(file)
        return
    tree = parse(script)
    found = list(commands(tree))
    assert [["/".join(inside), *(word.raw for word in command.words)] for inside, command in found] == case["commands"]
    if "operators" in case:
        assert operators(tree) == case["operators"]
    if "redirects" in case:
        redirects = sorted((redirect for _, command in found for redirect in command.redirects), key=lambda r: r.span)
        assert [
            [redirect.operator, redirect.target and redirect.target.raw]
            + ([] if redirect.body is None else [redirect.body.text])
            for redirect in redirects
        ] == case["redirects"]
    if "assignments" in case:
        assert [
            [assignment.name, assignment.value and assignment.value.raw]
            for _, command in found
            for assignment in command.assignments
        ] == case["assignments"]


def test_spans_quote_the_file() -> None:
    file, script = scattered("a é && x=1 b `c \\`d\\`` >f | e; if g; then h; fi 2>i")
    tree = parse(script)

    def quote(span: Span) -> str:
        return file[span.start : span.end].replace("\\\n", "")

    assert [quote(command.span) for _, command in commands(tree)] == [
        "a é",
        "x=1 b `c \\`d\\`` >f",
        "c \\`d\\`",
        "d",
        "e",
        "g",
        "h",
    ]
    first, second = tree.items
    assert isinstance(first.node, AndOr)
    assert (quote(first.node.operator_span), quote(first.terminator_span)) == ("&&", ";")
    assert quote(second.node.span) == "if g; then h; fi 2>i"
    assert quote(tree.span) == script.text
    for _, command in commands(tree):
        for word in command.words:
            assert quote(word.span) == script.text[word.start : word.end]


def test_the_terminator_of_a_here_document_stands_before_its_body() -> None:
    file, script = scattered("cat <<A | b\nx\nA\nc")
    assert file[parse(script).items[0].terminator_span.start - 1 :].startswith("b\n")


def literal(text: str) -> Literal:
    return Literal(text, quoted=False)


def quoted(text: str) -> Literal:
    return Literal(text, quoted=True)


V = Parameter("v", "", None, quoted=False)


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("a-b/c.*", [literal("a-b/c.*")]),
        ("'a b'", [quoted("a b")]),
        ('""', [quoted("")]),
        ("''", [quoted("")]),
        ("a\"b\"'c'd", [literal("a"), quoted("b"), quoted("c"), literal("d")]),
        (r"a\*b", [literal("a"), quoted("*"), literal("b")]),
        (r"\ a\ ", [quoted(" "), literal("a"), quoted(" ")]),
        (r'"a\"\$\\\x`b`"', [quoted('a"$\\\\x'), None]),
        ("$v/a-$v.b", [V, literal("/a-"), V, literal(".b")]),
        ("a/$v/c-$v/d-$v", [literal("a/"), V, literal("/c-"), V, literal("/d-"), V]),
        (r"$v/\$v.b", [V, literal("/"), quoted("$"), literal("v.b")]),
        ("a\\\nb", [literal("ab")]),
        ('"a\\\nb"', [quoted("ab")]),
        (r"$'a\'b\n\x41\101\u00e9\q'", [quoted("a'b\nAA\u00e9\\q")]),
        ('$"a$b"', [quoted("a"), Parameter("b", "", None, quoted=True)]),
        ("~/x{a,b}", [literal("~/x{a,b}")]),
        ("$x$1$@$#$$?", [*(Parameter(name, "", None, quoted=False) for name in "x1@#$"), literal("?")]),
        ("$10", [Parameter("1", "", None, quoted=False), literal("0")]),
        ('"$x"', [Parameter("x", "", None, quoted=True)]),
        ("${x}y", [Parameter("x", "", None, quoted=False), literal("y")]),
        ("${#x}${#}", [Parameter("x", "length", None, quoted=False), Parameter("#", "", None, quoted=False)]),
        ("${x:-}", [Parameter("x", ":-", None, quoted=False)]),
        ("${x^^}${x[@]}${!x}", [Parameter("x", operator, None, quoted=False) for operator in ("^^", "[@]", "!")]),
        ("a$", [literal("a$")]),
        ("é$é", [literal("é$é")]),
    ],
)
def test_parts(word: str, parts: list[Any]) -> None:
    (_, read_word) = words(f"cmd {word}")
    assert read_word.raw == word
    assert len(read_word.parts) == len(parts)
    for part, expected in zip(read_word.parts, parts, strict=True):
        assert expected is None or part == expected


@pytest.mark.parametrize(
    ("word", "operator", "argument", "parts"),
    [
        ("${x:-a b}", ":-", "a b", [literal("a b")]),
        ("${x-'a'}", "-", "'a'", [quoted("a")]),
        ("\"${x:+'a'}\"", ":+", "'a'", [quoted("'a'")]),
        ('${x:="$y"}', ":=", '"$y"', [Parameter("y", "", None, quoted=True)]),
        ("${x?a}", "?", "a", [literal("a")]),
        ("${x##*/}", "##", "*/", [literal("*/")]),
        ("${x%.*}", "%", ".*", [literal(".*")]),
        ("${x//a/b}", "//", "a/b", [literal("a/b")]),
        ("${x#$y-}", "#", "$y-", [Parameter("y", "", None, quoted=True), quoted("-")]),
        ("${x:1:$y}", ":1:$y", ":1:$y", None),
    ],
)
def test_arguments_of_parameters(word: str, operator: str, argument: str, parts: list[Any] | None) -> None:
    (parameter,) = words(word)[0].parts
    assert isinstance(parameter, Parameter)
    assert parameter.operator == operator
    assert parameter.argument is not None
    assert parameter.argument.raw == argument
    assert parts is None or list(parameter.argument.parts) == parts


@pytest.mark.parametrize(
    ("word", "kind", "count"),
    [("$(a; b)", "command", 2), ("`a`", "command", 1), ("<(a)", "process", 1), ("$((1+$(a)))", "arithmetic", 1)],
)
def test_kinds_of_substitutions(word: str, kind: str, count: int) -> None:
    (part,) = words(f"x {word}")[1].parts
    assert isinstance(part, Substitution)
    assert (part.kind, len(part.body.items), part.quoted) == (kind, count, False)


def test_literal_of_a_word() -> None:
    assert [word.literal for word in words('a \'b\'c "d$e" "" \\*')] == ["a", "bc", None, "", "*"]


def test_compound_commands() -> None:
    tree = only("if a; then b; elif c; then d; else e; fi")
    assert isinstance(tree, If)
    assert len(tree.branches) == 2
    assert tree.otherwise is not None
    loop = only("for x in a b; do c; done")
    assert isinstance(loop, For)
    assert (loop.name, [word.raw for word in loop.words or ()]) == ("x", ["a", "b"])
    function = only("f() { a; }")
    assert isinstance(function, Function)
    assert function.name == "f"
    declaration = only("export A=b")
    assert isinstance(declaration, Command)
    assert (declaration.keyword, declaration.assignments) == ("export", ())


@pytest.mark.parametrize(
    ("script", "negated"),
    [("! a", True), ("! a | b", True), ("! { a; }", True), ("! ! a", False), ("time a", False), ("! time a", True)],
)
def test_a_prefix_makes_a_pipeline(script: str, negated: bool) -> None:
    file, mapped = scattered(script)
    (item,) = parse(mapped).items
    assert isinstance(item.node, Pipeline)
    assert item.node.negated is negated
    assert file[item.node.span.start :].startswith(script[:2])


def test_and_or_nests_to_the_left() -> None:
    node = only("a && b || c")
    assert isinstance(node, AndOr)
    assert isinstance(node.first, AndOr)
    assert (node.first.operator, node.operator) == ("&&", "||")


@pytest.mark.parametrize("joint", [" && ", " >x && ", "; ", "; b &\n"])
def test_thousands_of_commands(joint: str) -> None:
    script = MappedText([(joint.join(["a"] * 10_000), 0)])
    assert sum(command.words[0].raw == "a" for _, command in commands(parse(script))) == 10_000


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("'apt-get update && x'", "apt-get update && x"),
        ('"a \\"b\\" \\$c \\d"', 'a "b" $c \\d'),
        ("a\\ b'c'", "a bc"),
        ('"pip install $(cat "a b") ${x:-"y"} `z`"', 'pip install $(cat "a b") ${x:-"y"} `z`'),
        ("$'a\\nb'", "a\nb"),
        ('$"a"', "a"),
        ("a\\\nb", "ab"),
        ("<(a 'b')", "<(a 'b')"),
        ("\"${x}\"'$y'", "${x}$y"),
        ("é'ü'", "éü"),
    ],
)
def test_unquoted(word: str, expected: str) -> None:
    file, script = scattered(f"sh -c {word} x")
    command = parse(script).items[0].node
    assert isinstance(command, Command)
    text = unquoted(command.words[2], script)
    assert text.text == expected
    for index, character in enumerate(expected):
        assert character == "\n" or file[text.offset(index)] == character


def test_unquoted_in_backticks() -> None:
    _, script = scattered('`sh -c "a \\"b\\" \\\\$c"`')
    (word,) = [command.words[2] for _, command in commands(parse(script)) if len(command.words) == 3]
    assert unquoted(word, script).text == 'a "b" $c'


HOSTILE = {
    "parentheses": "(" * 2**20,
    "substitutions": "$(" * 2**19,
    "arithmetic": "$((" * 2**18,
    "quoted substitutions": '"$(' * 2**18,
    "braces": "{" * 2**20,
    "braces and blanks": "{ " * 2**19,
    "parameters": "${x:-" * 2**17,
    "double quotes": '"' * (2**20 - 1),
    "single quotes": "'" * (2**20 - 1),
    "backticks": "`a` " * 2**18,
    "open backticks": "`" * (2**20 - 1),
    "brackets": "[[ (" * 2**18,
    "redirects": ">" * 2**20,
    "pipes": "a|" * 2**19,
    "semicolons": "a;" * 2**19,
    "closing": ")" * 2**20,
    "arrays": "a=(" * 2**18,
    "functions": "f() " * 2**18,
    "here-documents": "<<a\n" * 2**18,
    "closed here-documents": "cat <<A\n$(b)\nA\n" * 2**14,
    "NUL": "\0" * 2**20,
    "lone surrogates": "\ud800a $\udfff" * 2**17,
    "wide": "é$é" * 2**18,
    "escapes": "\\ " * 2**19,
    "negations": "! { " * 2**16,
    "times": "time " * 2**17,
    "nested": "if a; then " * 2**10 + "b;" + " fi;" * 2**10,
    "too long": "a" * (2**20 + 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_or_refused(name: str) -> None:
    # In a thread, so that one that hangs fails and does not hang the tests.
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(sum(1 for _ in commands(parse(MappedText([(HOSTILE[name], 0)])))))
        except ShellError as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(300)  # two seconds on an idle machine
    assert outcome


def test_the_deepest_that_is_read() -> None:
    assert len(list(commands(read("$(" * 50 + "a" + ")" * 50)))) == 51
    with pytest.raises(ShellError, match="nested"):
        read("( " * 101 + "a" + " )" * 101)


def test_the_longest_that_is_read() -> None:
    assert words("a" * 2**20)
    with pytest.raises(ShellError, match="longer than 1048576"):
        read("a" * (2**20 + 1))


PIECES = [
    *(*" \n\t;&|()<>{}\"'\\$`#!=*?~[]", "&&", "||", ";;", "a", "é", "$x", "${x:-", "$(", "$((", "))"),
    *("if ", "; then ", "; fi", "for i in ", "; do ", "; done", "case x in ", " esac", "f() ", "{ ", "; }", "time "),
    *("[ ", " ]", "[[ ", " ]]", "! ", "x=", ">&2 ", "2>&1", "\\\n", "export ", "cmd b", "<<A\n", "\nA\n"),
    *("\r\n", "\0", "\ud800"),
]


@settings(max_examples=5 * settings().max_examples)
@given(st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    file, script = scattered(text)
    refused: ShellError | None = None
    tree = Sequence((), Span(0, 0))
    try:
        tree = parse(script)
    except ShellError as error:
        refused = error
    assert refused is None or 0 <= refused.span.start <= refused.span.end <= len(file)
    for _, command in commands(tree):
        if not command.words:
            continue
        first = command.words[0]
        if not command.assignments and (not command.redirects or command.redirects[0].span > command.span):
            assert file[command.span.start :].replace("\\\n", "").startswith(first.raw.replace("\\\n", "")[:1])
        for word in command.words:
            assert word.span == script.span(word.start, word.end)
            assert "`" in text or script.text[word.start : word.end] == word.raw
            unquoted(word, script)


def test_an_item_knows_what_ends_it() -> None:
    assert [item.terminator for item in read("a; b &\nc\nd").items] == [";", "&", "\n", ""]
    assert all(isinstance(item, Item) for item in read("a; b").items)
