"""The messages, read back as TeamCity does by its own description."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cleanroom_teamcity import _escaped, render
from hypothesis import given
from hypothesis import strategies as st
from teamcity.messages import escape_value

import cleanroom
from cleanroom.lint.findings import Checked, Problem, Report
from cleanroom.registries import FORMATS, RULES
from cleanroom.testing import cases, check_case

MESSAGE = re.compile(r"##teamcity\[(\w+)((?: \w+='(?:[^'|\n\r\[\]]|\|(?:0x[0-9A-F]{4}|['|nr\[\]]))*')*)\]\n")
ATTRIBUTE = re.compile(r" (\w+)='((?:[^'|]|\|.)*)'")
PLAIN = {"n": "\n", "r": "\r"}


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases"))
def test_case(case):
    check_case(case)


def unescaped(text):
    def plain(match):
        return chr(int(match[1], 16)) if match[1] else PLAIN.get(match[2], match[2])

    units = re.sub(r"\|(?:0x([0-9A-F]{4})|(.))", plain, text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


def read(text):
    """Return the messages of an output, each its name and its attributes."""
    found = []
    for line in text.splitlines(keepends=True):
        match = MESSAGE.fullmatch(line)
        assert match, line
        found.append((match[1], {key: unescaped(value) for key, value in ATTRIBUTE.findall(match[2])}))
    return found


def messages(path, text):
    return read("".join(render([Checked(path, text, cleanroom.check(text))], RULES)))


def test_findings_are_inspections():
    text = "FROM debian:12\nRUN apt-get update\nRUN pip install x\n# cleanroom: ignore=dnf\n"
    found = messages("a/Dockerfile", text)
    assert [(name, values.get("id") or values["typeId"]) for name, values in found] == [
        ("inspectionType", "left-behind"),
        ("inspection", "left-behind"),
        ("inspection", "left-behind"),
        ("inspectionType", "unused-ignore"),
        ("inspection", "unused-ignore"),
    ]
    assert found[0][1]["category"] == "cleanroom"
    assert found[0][1]["description"]
    _, first = found[1]
    assert (first["file"], first["line"], first["SEVERITY"]) == ("a/Dockerfile", "2", "WARNING")
    assert first["message"].endswith("(add at the end of this RUN: rm -rf /var/lib/apt/lists/*)")
    assert found[4][1]["SEVERITY"] == "INFO"


def test_a_file_that_cannot_be_read_is_one_too():
    kind, error = messages("it's [1]|2", "FORM x\n")
    assert kind[1] == {
        "id": "cannot-be-read",
        "name": "cannot-be-read",
        "category": "cleanroom",
        "description": "the file cannot be read",
    }
    assert (error[1]["file"], error[1]["line"], error[1]["SEVERITY"]) == ("it's [1]|2", "1", "ERROR")


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("it's", "it|'s"), ("a|b", "a||b"), ("[x]", "|[x|]"), ("é", "|0x00E9"), ("\N{GRINNING FACE}", "|0xD83D|0xDE00")],
)
def test_escapes(text, escaped):
    assert _escaped(text) == escaped


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\r\n")))
def test_ascii_is_escaped_as_by_jetbrains(text):
    assert _escaped(text) == escape_value(text)


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=("Cs",))))
def test_whatever_is_said_comes_back(path, message):
    checked = Checked(path, "", Report(errors=(Problem(3, 1, message),)))
    output = "".join(render([checked], RULES))
    assert output.isascii()
    values = read(output)[1][1]
    assert (values["file"], values["message"], values["line"]) == (path, message, "3")


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "cleanroom", *arguments], capture_output=True, text=True, check=False, **options
    )


def test_it_stands_beside_the_formats_that_ship(tmp_path):
    assert "teamcity" in FORMATS
    assert "teamcity" in run("check", "--help").stdout
    (tmp_path / "Dockerfile").write_text("FROM debian:12\nRUN apt-get update\n")
    done = run("check", ".", "--format", "teamcity", "--output", "teamcity:out.txt", cwd=tmp_path)
    assert done.returncode == 1
    assert len(read(done.stdout)) == 2
    assert (tmp_path / "out.txt").read_text() == done.stdout
    wrong = run("check", ".", "--format", "teamcty", cwd=tmp_path)
    assert "teamcity" in wrong.stderr
