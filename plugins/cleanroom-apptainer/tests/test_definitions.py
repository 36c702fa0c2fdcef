"""Definition files: the cases in cases/, what Apptainer refuses, and whatever else a file may hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cleanroom_apptainer.definition import is_definition, parse
from hypothesis import example, given
from hypothesis import strategies as st

import cleanroom
from cleanroom.registries import READERS
from cleanroom.syntax.dockerfile import DockerfileError
from cleanroom.syntax.text import apply
from cleanroom.testing import cases, check_case

READER = READERS["apptainer"]
HEAD = "Bootstrap: docker\nFrom: debian:12\n"


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases"))
def test_case(case):
    check_case(case)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, "defines nothing"),
        ("# nothing\n", 1, 1, "defines nothing"),
        ("Bootstrap: docker\nFrmo: debian\n", 2, 1, "unknown header 'frmo'; did you mean 'from'?"),
        ("Bootstrap: docker\n  From debian\n", 2, 3, "is no header"),
        (f"{HEAD}%post\ntrue\n  %psot\n", 5, 3, "unknown section %psot; did you mean 'post'?"),
        (f"{HEAD}%appinstall\n", 3, 1, "%appinstall needs the name of the app"),
        (f"{HEAD}%post -c\ntrue\n", 3, 1, "%post -c needs a shell"),
        (f"{HEAD}%\n", 3, 1, "unknown section %"),
        ("Bootstrap: docker\n" * 251, 251, 1, "more than 250 stages"),
    ],
)
def test_what_apptainer_refuses_is_named_with_its_place(text, line, column, message):
    with pytest.raises(DockerfileError) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in str(caught.value)
    (problem,) = cleanroom.check(text, reader=READER).errors
    assert (problem.line, problem.column) == (line, column)


def test_places_are_those_of_the_file():
    text = f"{HEAD}\n%files\n  'a b' /x\n%post\n  \N{GRINNING FACE}; apt-get update\n%post\nend\n"
    parsed = parse(text)
    assert [item.keyword for item in parsed.instructions] == ["FROM", "COPY", "RUN"]
    begin, copy, run = parsed.instructions
    assert text[begin.span.start : begin.span.end] == HEAD.rstrip()
    assert [word.text for word in copy.words()] == ["a b", "/x"]
    assert text[copy.span.start : copy.span.end] == "'a b' /x"
    assert (run.line, run.end_line) == (6, 9)
    body = run.heredocs[0].body
    assert body.text == "  \N{GRINNING FACE}; apt-get update\nend\n"
    assert text[body.offset(body.text.index("apt")) :].startswith("apt-get")
    assert text[body.offset(body.text.index("end")) :].startswith("end")
    (finding,) = cleanroom.check(text, reader=READER).findings
    assert (finding.line, finding.column, finding.end_column) == (7, 6, 20)


def test_continued_headers():
    parsed = parse(
        "Bootstrap: docker\nFrom: mirror.example/\\\n  debian:12 # the base\nFingerprints: AB\\\nCD\n%post\n"
    )
    assert parsed.stages[0].base == "mirror.example/debian:12"


@pytest.mark.parametrize(
    ("head", "base"),
    [
        ("Bootstrap: docker\nFrom: docker://debian:12", "debian:12"),
        ("Bootstrap: docker\nFrom: tools\nRegistry: ghcr.io\nNamespace: lab", "ghcr.io/lab/tools"),
        ("Bootstrap: localimage\nFrom: base image.sif", "baseimage.sif"),
        ("Bootstrap: dnf\nOSVersion: 9\nMirrorURL: x", "centos:9"),
        ("Bootstrap: scratch", "scratch"),
        ("Bootstrap: docker\nFrom: {{ X }}", "{{X}}"),
    ],
)
def test_bases(head, base):
    assert parse(f"{head}\n%post\ntrue\n").stages[0].base == base


def test_line_ends_of_windows_stay():
    text = f"{HEAD}%post\n    apt-get update\n    apt-get install -y git\n".replace("\n", "\r\n")
    fixed = cleanroom.fix(text, reader=READER)
    assert fixed.text == text + "    rm -rf /var/lib/apt/lists/*\r\n"


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "Bootstrap: docker\n",
                "From: debian:12\n",
                "Stage: a\n",
                "%post\n",
                "%post -c /bin/bash\n",
                "%files from a\n",
                "%files\n",
                "%appinstall x\n",
                "%arguments\nA=b\n",
                "%runscript\n",
                "%setup\n",
                "  apt-get update\n",
                "  pip install x && \\\n",
                "  rm -rf /var/lib/apt/lists/*\n",
                "  cat <<E\n",
                "E\n",
                "# cleanroom: ignore=apt\n",
                "/root /root\n",
                "'\"{{ A }}\n",
                "\r\n",
            ]
        ),
        st.text(max_size=8),
    ),
    max_size=14,
).map("".join)


@given(PIECES)
@example("%post")
@example("\ufeffBootstrap: docker\n%post\napt-get update")
def test_any_text_gives_a_report_or_says_what_is_wrong(text):
    report = cleanroom.check(text, reader=READER)
    for problem in report.errors:
        assert problem.message
        assert 1 <= problem.line <= text.count("\n") + 1
    for finding in report.findings:
        assert 0 <= finding.span.start <= finding.span.end <= len(text)
        if finding.fix is not None:
            edited = apply(text, finding.fix.edits)
            assert not cleanroom.check(edited, reader=READER).errors
            assert "--mount" not in edited
    fixed = cleanroom.fix(text, reader=READER, unsafe=True)
    assert not fixed.problems
    assert bool(fixed.errors) == bool(report.errors)


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "cleanroom", *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )


def test_files_are_found_by_name_and_mended(tmp_path):
    text = f"{HEAD}%post\n    apt-get update\n    apt-get install -y git\n"
    names = ["a.def", "Singularity", "Singularity.v1", "tools.singularity"]
    for name in names:
        (tmp_path / name).write_text(text)
    (tmp_path / "library.def").write_text("LIBRARY foo\nEXPORTS\n  bar @1\n")
    found = json.loads(run("check", ".", "--format", "json", cwd=tmp_path).stdout)
    assert sorted({finding["file"] for finding in found["findings"]}) == sorted(names)
    assert not found["errors"]
    done = run("fix", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in names:
        assert (tmp_path / name).read_text() == text + "    rm -rf /var/lib/apt/lists/*\n"
    named = run("check", "library.def", cwd=tmp_path)
    assert named.returncode == 2
    assert "library.def:1:1: error: 'LIBRARY foo' is no header" in named.stderr


def test_other_files_of_the_name_are_told_apart():
    assert is_definition("# a comment\nBootStrap : docker\n")
    assert is_definition("%post\ntrue\n")
    assert not is_definition("LIBRARY x\nEXPORTS\n")
    assert not is_definition("#define x\n%token NAME\n")
