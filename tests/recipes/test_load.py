"""Recipes from YAML: what is read, what is refused and where, and the canonical form."""

import json
import re
import subprocess
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from cleanroom.recipes import load
from cleanroom.recipes import yaml as yaml_nodes
from cleanroom.recipes.format import _nested_records, canonical
from cleanroom.recipes.load import parse_bases, parse_recipe
from cleanroom.recipes.model import (
    Base,
    Cache,
    CachePath,
    Program,
    Recipe,
    RecipeError,
    RecipeProblem,
    Remedy,
    Typical,
    Use,
)
from cleanroom.recipes.validate import validate_bases, validate_recipe, validate_set
from tests.support import case_file

CASES = case_file("library/problems.yaml")


def complete(case: Mapping[str, Any]) -> str:
    """Return the recipe of a case with the required fields that it leaves out below it."""
    text: str = case["recipe"]
    if case.get("whole"):
        return text
    rest = (line for field, line in CASES["rest"].items() if not re.search(f"^{field}:", text, re.MULTILINE))
    return text + "".join(f"{line}\n" for line in rest)


MINIMAL = complete({"recipe": ""})


class PureLoader(yaml.SafeLoader):
    """What is used where pyyaml comes without libyaml."""

    def resolve(self, *_: object) -> str:
        return ""


# -- reading


def test_recipe() -> None:
    text = """\
        id: foo
        name: Foo
        summary: things
        homepage: https://foo.example
        aliases: [foo2]
        programs:
          - names: [foo, "foo2.*"]
            options_with_value: [-o]
        caches:
          - id: cache
            what: downloads
            paths:
              - path: $FOO_CACHE
                versions: ">=1.10"
              - path: ~/.cache/foo
            filled_by:
              - verbs: [install, no, 010]
            flat: true
            typical: {bytes: 1000000, of: foo install x}
        remedies:
          - {kind: mount, caches: [cache], targets: [~/.cache/foo], environment: {FOO_LINK: copy}}
        peers: {hadolint: [DL1, DL2]}
        sources: [https://foo.example/cache]
    """
    assert parse_recipe(textwrap.dedent(text), "foo.yaml") == Recipe(
        id="foo",
        name="Foo",
        summary="things",
        homepage="https://foo.example",
        aliases=("foo2",),
        programs=(Program(names=("foo", "foo2.*"), options_with_value=("-o",)),),
        caches=(
            Cache(
                id="cache",
                what="downloads",
                paths=(CachePath(path="$FOO_CACHE", versions=">=1.10"), CachePath(path="~/.cache/foo")),
                filled_by=(Use(verbs=("install", "no", "010")),),
                flat=True,
                typical=Typical(bytes=1_000_000, of="foo install x"),
            ),
        ),
        remedies=(
            Remedy(kind="mount", caches=("cache",), targets=("~/.cache/foo",), environment={"FOO_LINK": "copy"}),
        ),
        peers={"hadolint": ("DL1", "DL2")},
        sources=("https://foo.example/cache",),
        origin="foo.yaml",
    )


def test_bases() -> None:
    text = 'bases:\n  - {images: [rust], family: debian, environment: {CARGO_HOME: /usr/local/cargo}, tags: ["1.*"]}\n'
    assert parse_bases(text, "bases.yaml") == (
        Base(images=("rust",), tags=("1.*",), family="debian", environment={"CARGO_HOME": "/usr/local/cargo"}),
    )
    assert validate_bases(text, "bases.yaml") == []


def test_problems_of_bases() -> None:
    text = "bases:\n  - images: []\n    sh: zash\n    versions: {apt: 2.6}\n    user: 1000\n    hom: /root\n"
    assert [str(problem) for problem in validate_bases(text, "b.yaml")] == [
        "b.yaml:2:13: must not be empty",
        "b.yaml:3:9: must not be 'zash'; did you mean 'dash'?",
        'b.yaml:4:21: write "2.6" in quotes: other YAML readers take it for a number',
        'b.yaml:5:11: must be text: write "1000" in quotes',
        "b.yaml:6:5: unknown field 'hom'; did you mean 'home'?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id: foo\nnme: foo\n", "f:2:1: unknown field 'nme'"),
        ("id: foo\nid: foo\n", "f:2:1: the field 'id' stands twice"),
        ("id: foo\n", "f:1:1: missing field 'homepage'"),
        ("caches: [{id: a, flat: yes}]\n", "f:1:24: must be true or false"),
        ("caches: [{id: a, typical: {bytes: true}}]\n", "f:1:35: must be a whole number"),
        ('caches: [{id: a, typical: {bytes: "1"}}]\n', "f:1:35: must be a whole number"),
        ("aliases: foo\n", "f:1:10: must be a list"),
        ("name: [foo]\n", "f:1:7: must be text"),
        ("peers: foo\n", "f:1:8: must be a mapping"),
        ("[a]: b\n", "f:1:1: a key must be a word"),
        ("", "f:1:1: the file says nothing"),
    ],
)
def test_parse_stops_at_the_first_problem(text: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(problem)}$"):
        parse_recipe(text, "f")


@pytest.mark.parametrize("read", [parse_recipe, parse_bases, canonical])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"name: f\n  \xc3\xa4 \xff", "f:2:5: this is not UTF-8"),
        (b"#" * (256 * 1024 + 1), "f:1:1: the file is larger than 256 KiB"),
        ("- " * 50_000 + "a", "f:1:1: nested too deep"),
        ("[" * 50_000, "f:1:1: nested too deep"),
        ("-\t" * 50_000 + "a", "f:1:1: nested too deep"),
        ("\n".join(" " * n + "a:" for n in range(500)), "f:1:1: nested too deep"),
        ("name: \ud800", "f:1:7: the character U+D800 is not allowed"),
    ],
)
def test_files_refused(read: Any, text: str | bytes, problem: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(problem)}$"):
        read(text, "f")
    assert [str(found) for found in validate_recipe(text, "f")] == [problem]


def test_byte_order_mark_and_windows_line_ends() -> None:
    expected = parse_recipe(MINIMAL, "f")
    text = "\ufeff" + MINIMAL.replace("\n", "\r\n")
    assert parse_recipe(text, "f") == parse_recipe(text.encode(), "f") == expected
    assert canonical(text, "f") == canonical(MINIMAL, "f")


def test_parse_does_not_import_jsonschema() -> None:
    code = (
        "import sys; from cleanroom.recipes.load import *\n"
        "parse_recipe(sys.argv[1], ''); print('jsonschema' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code, MINIMAL], text=True).strip() == "False"


# -- validating


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_problems(case: Mapping[str, Any]) -> None:
    problems = validate_recipe(complete(case), "f.yaml")
    assert [str(problem) for problem in problems] == [f"f.yaml:{expected}" for expected in case["problems"]]
    if not problems:
        parse_recipe(complete(case), "f.yaml")


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["name"])
def test_problems_without_libyaml(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_nodes, "Loader", PureLoader)
    problems = [str(problem).removeprefix("f:") for problem in validate_recipe(complete(case), "f")]
    if "not valid YAML" in str(case["problems"]):  # libyaml says it in other words
        assert [problem.split(",")[0] for problem in problems] == [line.split(",")[0] for line in case["problems"]]
    else:
        assert problems == case["problems"]


def recipe(identifier: str, **fields: Any) -> Recipe:
    minimal = parse_recipe(MINIMAL, f"{identifier}.yaml")
    return replace(minimal, id=identifier, programs=(Program(names=(identifier,)),), **fields)


def test_set_without_problems() -> None:
    mine = replace(recipe("foo"), origin="mine.yaml", replaces="foo")
    assert validate_set([recipe("foo"), recipe("bar", aliases=("baz",)), mine]) == []


@pytest.mark.parametrize(
    ("recipes", "message"),
    [
        (
            [recipe("foo"), replace(recipe("foo"), programs=())],
            "the name 'foo' is claimed by foo (foo.yaml) and foo (foo.yaml)",
        ),
        (
            [recipe("foo"), recipe("bar", aliases=("foo",))],
            "the name 'foo' is claimed by foo (foo.yaml) and bar (bar.yaml)",
        ),
        (
            [recipe("foo", aliases=("x",)), recipe("bar", aliases=("x",))],
            "the name 'x' is claimed by foo (foo.yaml) and bar (bar.yaml)",
        ),
        (
            [recipe("foo"), replace(recipe("bar"), programs=(Program(names=("x", "foo")),))],
            "the executable 'foo' is claimed by foo (foo.yaml) and bar (bar.yaml)",
        ),
        (
            [replace(recipe(name), programs=(Program(names=(name,), modules=("m",)),)) for name in ("a", "b")],
            "the Python module 'm' is claimed by a (a.yaml) and b (b.yaml)",
        ),
        (
            [recipe("foo"), recipe("bar", replaces="fooo")],
            "replaces 'fooo', which is no other recipe; did you mean 'foo'?",
        ),
        ([recipe("foo", replaces="foo")], "replaces 'foo', which is no other recipe"),
        (
            [recipe("foo"), recipe("a", replaces="foo"), recipe("b", replaces="foo")],
            "the place of 'foo' is claimed by a (a.yaml) and b (b.yaml)",
        ),
    ],
)
def test_set_problems(recipes: list[Recipe], message: str) -> None:
    assert validate_set(recipes) == [RecipeProblem(recipes[-1].origin, 1, 1, message)]


# -- the canonical form


HEADER = "# yaml-language-server: $schema=./recipe.schema.json\n"


def test_canonical_order_and_blocks() -> None:
    text = """\
        sources: [https://foo.example/cache, "https://foo.example/other"]

        caches:
        - {what: 'downloads, and more',
           id: cache, flat: true, paths: [{path: '~/x'}]}
        later: {b: 1, a: [[p, q], [{c: d}]]}
        id: foo
        summary: >-
          folded
          text
    """
    assert canonical(textwrap.dedent(text), "foo.yaml") == HEADER + textwrap.dedent("""\
        id: foo
        summary: folded text
        caches:
          - id: cache
            what: downloads, and more
            paths:
              - path: ~/x
            flat: true
        sources:
          - https://foo.example/cache
          - https://foo.example/other
        later:
          b: 1
          a:
            - [p, q]
            -
              - c: d
    """)


def test_canonical_quotes() -> None:
    text = """\
        aliases:
        - 'foo'
        - no
        - '1.10'
        - 1
        - "true"
        - 'a: b'
        - 'a, b'
        - '"y\\z'
        - "it's"
        - "\\ta"
        - '-'
        - --foo
        -
        keep: []
        peers: {"y": {}}
        summary: "a, [b] and 'c' #d"
    """
    assert canonical(textwrap.dedent(text), "foo.yaml") == HEADER + textwrap.dedent("""\
        summary: "a, [b] and 'c' #d"
        aliases: [foo, "no", "1.10", 1, "true", "a: b", "a, b", '"y\\z', it's, "\\U00000009a", "-", --foo, ""]
        keep: []
        peers:
          "y": {}
    """)


def test_canonical_breaks_lists_at_100_columns() -> None:
    words = ["x" * 8] * 8
    for last, columns in (("x" * 9, 100), ("x" * 10, 101)):
        line = f"aliases: [{', '.join([*words, last])}]"
        assert len(line) == columns, columns
        block = "\n  - ".join(["aliases:", *words, last])
        assert canonical(f"{line}\n", "f") == HEADER + (line if columns == 100 else block) + "\n"


def test_canonical_keeps_comments() -> None:
    text = """\
        # about the file
        # yaml-language-server: $schema=https://schema.example/recipe.json
        sources:  # where
          # first
          - https://foo.example/a   # beside
          - https://foo.example/b
        # the name
        name: foo  # trailing
        aliases: [a,  # one
                  b]
        keep:
          - why: because  # reason
            # place
            path: "#x"
          # second
          - {why: x, path: /y}  # flow
        peers: {} # none
        summary: |-  # a block
          text
        # the end
    """
    assert sorted(canonical(textwrap.dedent(text), "foo.yaml").splitlines()) == sorted(
        textwrap.dedent("""\
        # yaml-language-server: $schema=https://schema.example/recipe.json
        # about the file
        # the name
        name: foo  # trailing
        summary: text  # a block
        sources:  # where
          # first
          - https://foo.example/a  # beside
          - https://foo.example/b
        aliases:
          - a  # one
          - b
        keep:
          # place
          - path: "#x"
            why: because  # reason
          # second
          # flow
          - path: /y
            why: x
        peers: {}  # none
        # the end
    """).splitlines()
    )


def test_canonical_bases() -> None:
    text = "bases:\n- {user: root, images: [a]}\n"
    assert canonical(text, "x/bases.yaml") == (
        "# yaml-language-server: $schema=./bases.schema.json\nbases:\n  - images: [a]\n    user: root\n"
    )


@pytest.mark.parametrize("text", ["a: &x b", "a: !!str b", "[a]: b", "a: [", "a: " + "[" * 20 + "]" * 20])
def test_canonical_refuses(text: str) -> None:
    with pytest.raises(RecipeError):
        canonical(text, "f")


words = st.one_of(
    st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs", "Zl", "Zp"], exclude_characters="\ufeff"), max_size=12),
    st.text(st.sampled_from("ab ~#:-'\"\\,[]{}?!&*|>%@`=<$/.01"), max_size=8),
    st.sampled_from(["no", "1.10", "010", "true", "12", "~", "null", "---", "...", "a://b", "2026-01-01", "="]),
)


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return plain data that a field of this type can have."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(words, values(arguments[1]), max_size=2)
    if arguments:
        return values(arguments[0])
    if isinstance(hint, type) and issubclass(hint, Struct):
        return records(hint)
    return {str: words, int: st.integers(-5, 10**9), bool: st.booleans()}[hint]


def records(record: Any) -> st.SearchStrategy[dict[str, Any]]:
    hints = typing.get_type_hints(record)
    _, required = load._readers(record)
    fields = {name: values(hints[name]) for name in load.field_names(record)}
    mapping = st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    )
    return mapping.flatmap(lambda data: st.permutations(list(data.items())).map(dict))


@given(records(Recipe), st.sampled_from([None, False, True]))
def test_canonical_says_the_same(data: dict[str, Any], flow: bool | None) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, sort_keys=False)
    once = canonical(text, "f")
    assert canonical(once, "f") == once
    assert parse_recipe(once, "f") == parse_recipe(text, "f")
    assert yaml.safe_load(once) == data


def commented(text: str, where: list[int]) -> Iterator[str]:
    """Yield the lines of block style YAML with comments above (1), beside (2) or both (3)."""
    for number, line in enumerate(text.splitlines()):
        place = where[number % len(where)]
        if place & 1:
            yield f"{' ' * (number % 5)}# above {number}"
        yield f"{line}  # beside {number}" if place & 2 else line


@given(records(Recipe), st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_canonical_loses_no_comment(data: dict[str, Any], where: list[int]) -> None:
    one_line = json.loads(re.sub(r"\\u[0-9a-f]{4}|\\.", "_", json.dumps(data)))
    text = "\n".join(commented(yaml.safe_dump(one_line, default_flow_style=False, width=10_000), where))
    once = canonical(text, "f")
    assert canonical(once, "f") == once
    assert parse_recipe(once, "f") == parse_recipe(text, "f")
    comment = re.compile(r"# (?:above|beside) \d+")
    assert sorted(comment.findall(once)) == sorted(comment.findall(text))


# -- the schema and the records


@pytest.mark.parametrize(("schema", "root"), [("recipe.schema.json", Recipe), ("bases.schema.json", load.Bases)])
def test_schema_has_the_fields_of_the_records(schema: str, root: Any) -> None:
    document = json.loads((load.RECIPES / schema).read_text("utf-8"))
    seen = []

    def compare(record: Any, definition: Mapping[str, Any]) -> None:
        seen.append(record)
        _, required = load._readers(record)
        assert sorted(definition["properties"]) == sorted(load.field_names(record)), record
        assert sorted(definition["required"]) == sorted(required), record
        assert definition["additionalProperties"] is False, record
        for name, nested in _nested_records(record).items():
            field = definition["properties"][name]
            reference = field.get("$ref") or field["items"]["$ref"]
            compare(nested, document["$defs"][reference.removeprefix("#/$defs/")])

    compare(root, document)
    assert len(seen) > 1


@pytest.mark.parametrize("schema", ["recipe.schema.json", "bases.schema.json"])
def test_schema_explains_every_property(schema: str) -> None:
    from jsonschema import Draft202012Validator

    document = json.loads((load.RECIPES / schema).read_text("utf-8"))
    Draft202012Validator.check_schema(document)
    resolver = Draft202012Validator(document)
    for definition in (document, *document["$defs"].values()):
        assert {"title", "description"} <= definition.keys()
        for name, field in definition.get("properties", {}).items():
            assert {"title", "description", "examples"} <= field.keys(), name
            for example in field["examples"]:
                assert list(resolver.evolve(schema=field).iter_errors(example)) == [], name
