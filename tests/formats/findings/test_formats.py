import io
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cleanroom
from cleanroom.engine.events import Unresolved
from cleanroom.formats import values
from cleanroom.formats.findings import json as json_feed
from cleanroom.formats.findings import text as text_feed
from cleanroom.lint.findings import Advice, Finding, Fix, Problem, Report
from cleanroom.syntax.text import Edit, Source, Span

SCHEMA = json.loads((files("cleanroom") / "schemas/findings-1.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def finding(text: str, start: int, end: int, **more: Any) -> Finding:
    source = Source(text)
    line, column = source.position(start)
    end_line, end_column = source.position(end)
    values: dict[str, Any] = {
        "rule": "left-behind",
        "manager": "apt",
        "cache": "lists",
        "severity": "warning",
        "message": "apt leaves its package lists in this layer",
        "stage": "0",
        "ships": True,
        "instruction_line": line,
    }
    place = {"line": line, "column": column, "end_line": end_line, "end_column": end_column}
    return Finding(span=Span(start, end), **{**values, **place, **more})


def render(text: str, start: int, end: int, width: int = 80, colour: bool = False, **more: Any) -> list[str]:
    report = Report((finding(text, start, end, **more),))
    return text_feed.render("Dockerfile", text, report, text_feed.Look(colour=colour, width=width)).splitlines()


def snippet(text: str, command: str, width: int = 80) -> tuple[str, str]:
    start = text.index(command)
    shown, underline = render(text, start, start + len(command), width)[1:3]
    return shown[7:], underline[7:]


def test_a_finding_as_text() -> None:
    text = "FROM debian\nRUN apt-get update && apt-get install -y curl\n"
    assert render(
        text,
        34,
        61,
        paths=("/var/lib/apt/lists",),
        typical_bytes=19_000_000,
        typical_of="apt-get update",
        remedies=(Advice("clean", "rm -rf /var/lib/apt/lists/*"),),
    ) == [
        "Dockerfile:2:23  warning  left-behind[apt.lists]  apt leaves its package lists in this layer",
        "   2 | RUN apt-get update && apt-get install -y curl",
        "     |                       ~~~~~~~~~~~~~~~~~~~~~~~",
        "     = left: /var/lib/apt/lists (for example 19 MB after apt-get update)",
        "     = add at the end of this RUN: rm -rf /var/lib/apt/lists/*",
        "",
    ]


@pytest.mark.parametrize(
    ("advice", "rule", "note"),
    [
        (Advice("prevent", "--no-cache-dir"), "left-behind", "add to this command: --no-cache-dir"),
        (Advice("prevent", "ENV PIP_NO_CACHE_DIR=1"), "left-behind", "add above this RUN: ENV PIP_NO_CACHE_DIR=1"),
        (Advice("prevent", "npm config set x y"), "left-behind", "run before it: npm config set x y"),
        (
            Advice("mount", "--mount=type=cache,target=/x"),
            "left-behind",
            "add to this RUN: --mount=type=cache,target=/x",
        ),
        (Advice("clean", "npm cache clean --force"), "cleanup-fails", "write instead: npm cache clean --force"),
    ],
)
def test_where_to_write_it(advice: Advice, rule: str, note: str) -> None:
    assert f"     = {note}" in render("RUN x", 4, 5, remedies=(advice,), rule=rule)


def test_a_command_of_several_lines_is_shown_by_its_first() -> None:
    assert snippet("RUN pip install \\\n  flask\n", "pip install \\\n  flask") == (
        "RUN pip install \\",
        "    ~~~~~~~~~~~",
    )


def test_wide_combined_and_tab_characters_are_underlined_where_they_stand() -> None:
    assert snippet("RUN echo 漢字 && x", "x") == ("RUN echo 漢字 && x", " " * 17 + "~")
    assert snippet("RUN echo e\u0301 && x", "x") == ("RUN echo e\u0301 && x", " " * 14 + "~")
    assert snippet("RUN\tx && y", "y") == ("RUN x && y", " " * 9 + "~")


def test_long_lines_are_cut_around_the_command() -> None:
    line = f"RUN {'a' * 100} && pip install flask && {'b' * 100}"
    shown, underline = snippet(line, "pip install flask", width=60)
    assert shown == f"…{'a' * 30} && pip install flask…"
    assert underline == " " * 35 + "~" * 17
    shown, underline = snippet(line, line[4:], width=60)
    assert shown.startswith("…aaa")
    assert shown.endswith("a…")
    assert len(shown) == 53
    assert underline == " " + "~" * 51


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    shown, _ = snippet("RUN echo '\x1b[2J\u202e\x9b' && x\r\n", "x")
    assert shown == "RUN echo '␛[2J\\u202e\\x9b' && x"
    assert values.printable("a\nb\udcff") == "a␊b\\udcff"


def test_colour_adds_nothing_but_colour() -> None:
    plain = render("RUN x", 4, 5)
    coloured = render("RUN x", 4, 5, colour=True)
    assert coloured != plain
    import click

    assert [click.unstyle(line) for line in coloured] == plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (io.StringIO(), {}, False),
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_when_there_is_colour(stream: io.StringIO, environment: dict[str, str], expected: bool) -> None:
    assert text_feed.wants_colour(stream, environment) is expected


def test_the_summary() -> None:
    assert text_feed.summary({}, 1, 0) == "No findings in 1 file."
    assert text_feed.summary({}, 12, 0) == "No findings in 12 files."
    assert text_feed.summary({}, 12, 0, 2) == "No findings in 12 files (2 with errors, see above)."
    assert text_feed.summary({"warning": 2, "info": 1}, 2, 1) == "3 findings in 1 of 2 files: 2 warnings, 1 info"
    assert text_feed.summary({"error": 1}, 1, 1) == "1 finding in 1 file: 1 error"


def test_sizes() -> None:
    sizes = (0, 999, 1_500, 19_000_000, 99_960_000, 1_000_000_000)
    assert [values.size(size) for size in sizes] == ["0 bytes", "999 bytes", "1.5 kB", "19 MB", "100 MB", "1.0 GB"]


def document(*files: tuple[str, str, Report]) -> Any:
    return json.loads("".join(json_feed.document(json_feed.rows(*file) for file in files)))


def test_the_json_document() -> None:
    text = "FROM é\nRUN pip install x\n"
    fix = Fix(True, "add --no-cache-dir", (Edit(Span(22, 22), " --no-cache-dir"),))
    report = Report(
        (
            finding(
                text,
                11,
                24,
                manager="pip",
                cache="cache",
                paths=("/root/.cache/pip",),
                typical_bytes=30,
                typical_of="pip install x",
                remedies=(Advice("prevent", "--no-cache-dir"),),
                fix=fix,
                aliases=(("hadolint", ("DL3042",)),),
            ),
        ),
        (Unresolved(2, "$X has no value"),),
        (Problem(3, 1, "unknown instruction: FRMO"),),
    )
    result = document(("a/Dockerfile", text, report), ("b", "", Report()))
    assert result == {
        "schema": "cleanroom/findings/1",
        "version": cleanroom.__version__,
        "findings": [
            {
                "file": "a/Dockerfile",
                "instruction_line": 2,
                "line": 2,
                "column": 5,
                "end_line": 2,
                "end_column": 18,
                "rule": "left-behind",
                "manager": "pip",
                "cache": "cache",
                "severity": "warning",
                "stage": "0",
                "ships": True,
                "message": "apt leaves its package lists in this layer",
                "paths": ["/root/.cache/pip"],
                "bytes": {"typical": 30, "source": "pip install x"},
                "remedies": [{"kind": "prevent", "text": "--no-cache-dir"}],
                "fix": {
                    "safe": True,
                    "title": "add --no-cache-dir",
                    "edits": [{"line": 2, "column": 16, "end_line": 2, "end_column": 16, "text": " --no-cache-dir"}],
                },
                "aliases": {"hadolint": ["DL3042"]},
            }
        ],
        "unresolved": [{"file": "a/Dockerfile", "line": 2, "reason": "$X has no value"}],
        "errors": [{"file": "a/Dockerfile", "line": 3, "column": 1, "message": "unknown instruction: FRMO"}],
    }
    VALIDATOR.validate(result)


def test_the_schema_describes_every_field() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def walk(schema: dict[str, Any]) -> None:
        for name, field in schema.get("properties", {}).items():
            target = SCHEMA["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
            assert "description" in {**target, **field}, name
            walk(field)
            walk(field.get("items", {}))
        assert set(schema.get("required", [])) == set(schema.get("properties", {}))

    walk(SCHEMA)
    for definition in SCHEMA["$defs"].values():
        walk(definition)


def test_documents_of_no_and_many_files() -> None:
    VALIDATOR.validate(document())
    report = Report((finding("RUN x", 4, 5), finding("RUN x", 4, 5)), (Unresolved(1, ""),), (Problem(1, 1, ""),))
    result = document(*[("a", "RUN x", report)] * 3)
    VALIDATOR.validate(result)
    assert [len(result[key]) for key in ("findings", "unresolved", "errors")] == [6, 3, 3]


@given(st.text(max_size=200), st.data())
def test_any_text_can_be_shown(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    width = data.draw(st.integers(1, 100))
    lines = render(text, start, end, width)
    assert all(line.isprintable() for line in lines)
    assert lines[2].count("~") >= 0
    VALIDATOR.validate(document(("f", text, Report((finding(text, start, end),)))))


CONDA = "FROM continuumio/miniconda3\nRUN conda install -y numpy\n"


def test_findings_of_one_run_with_one_fix_are_one_block() -> None:
    report = cleanroom.check(CONDA)
    assert len(report.findings) > 1
    shown = text_feed.render("Dockerfile", CONDA, report, text_feed.Look())
    assert shown.count("Dockerfile:2:5") == shown.count("= fix: ") == 1
    assert "left-behind[conda.index,tarballs]  conda leaves the indexes of the channels and downloaded " in shown
    assert shown.count("= left: ") == len(report.findings)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_words_go_below_where_a_terminal_is_narrow(width: int) -> None:
    look = text_feed.Look(width=width, wraps=True)
    lines = text_feed.render("Dockerfile", CONDA, cleanroom.check(CONDA), look).splitlines()
    assert max(map(len, lines)) <= max(width, len("Dockerfile:2:5  warning  left-behind[conda.index,tarballs]  conda"))
    whole = text_feed.render("Dockerfile", CONDA, cleanroom.check(CONDA), text_feed.Look())
    assert " ".join(" ".join(lines).split()) == " ".join(whole.split())


@pytest.mark.parametrize(
    ("messages", "one"),
    [
        (["x leaves a here"], "x leaves a here"),
        (["x leaves a here", "x leaves b here"], "x leaves a and b here"),
        (["x leaves a a here", "x leaves b here", "x leaves c here"], "x leaves a a, b and c here"),
        (["x leaves a", "x leaves a"], "x leaves a"),
        (["one", "another"], "one; another"),
        (["x leaves a", "x leaves a b"], "x leaves a; x leaves a b"),
    ],
)
def test_messages_are_joined(messages: list[str], one: str) -> None:
    assert text_feed.joined(messages) == one
