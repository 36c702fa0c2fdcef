"""Findings in the formats of other tools: nothing is lost in any, and the tools' own readers take them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cleanroom.api import check
from cleanroom.cli import main
from cleanroom.formats.findings.fingerprints import fingerprinted
from cleanroom.lint.findings import Checked
from cleanroom.registries import FORMATS, RULES
from cleanroom.syntax.text import apply
from tests.support import program

DOCKERFILE = (
    "FROM debian:12\n"
    "RUN apt-get update && apt-get install -y curl\n"
    "RUN pip install ü, a%b --index-url=x:y && pip install 'two'\n"
    "RUN apt-get update\n"
    "FROM node:20\n"
    "RUN npm ci && npm cache clean\n"
)
BROKEN = "FROM debian:12\nRUN <<EOF\nnever closed\n"
AWKWARD = "a b,%:ü'\"<&>|/Dockerfile"

Place = tuple[str, int, int]  # file, line, column


def checked(text: str, path: str = "Dockerfile") -> Checked:
    return Checked(path, text, check(text))


def rendered(name: str, *files: Checked) -> str:
    return "".join(FORMATS[name].render(files))


def places(*files: Checked) -> list[Place]:
    return sorted(
        (file.path, item.line, item.column) for file in files for item in (*file.report.findings, *file.report.errors)
    )


# What each format says of its places, read back.


def in_json(text: str) -> list[Place]:
    document = json.loads(text)
    return [(row["file"], row["line"], row["column"]) for row in (*document["findings"], *document["errors"])]


def in_sarif(text: str) -> list[Place]:
    from urllib.parse import unquote

    found = []
    run = json.loads(text)["runs"][0]
    for result in (*run["results"], *run["invocations"][0]["toolExecutionNotifications"]):
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        found.append((unquote(place["artifactLocation"]["uri"]), region["startLine"], region["startColumn"]))
    return found


def in_gitlab(text: str) -> list[Place]:
    found = []
    for issue in json.loads(text):
        begin = issue["location"]["positions"]["begin"]
        assert issue["location"]["lines"]["begin"] == begin["line"]
        found.append((issue["location"]["path"], begin["line"], begin["column"]))
    return found


def in_checkstyle(text: str) -> list[Place]:
    return [
        (file.attrib["name"], int(error.attrib["line"]), int(error.attrib["column"]))
        for file in ET.fromstring(text)
        for error in file
    ]


def in_junit(text: str) -> list[Place]:
    found = []
    for suite in ET.fromstring(text):
        assert len(suite) == int(suite.attrib["tests"])
        for case in suite:
            if case.attrib["name"] == "clean":
                continue
            match = re.search(r" at (\d+):(\d+)$", case.attrib["name"])
            line, column = (int(match[1]), int(match[2])) if match else (int(case.attrib["line"]), 1)
            found.append((suite.attrib["name"], line, column))
    return found


def in_rdjson(text: str) -> list[Place]:
    found = []
    for row in json.loads(text)["diagnostics"]:
        start = row["location"]["range"]["start"]
        found.append((row["location"]["path"], start["line"], start["column"]))
    return found


def in_hadolint(text: str) -> list[Place]:
    return [(row["file"], row["line"], row["column"]) for row in json.loads(text)]


def in_github(text: str) -> list[Place]:
    found = []
    for line in text.splitlines():
        match = re.fullmatch(r"::(?:notice|warning|error) ([^:]*)::.+", line)
        assert match, line
        fields = dict(pair.split("=", 1) for pair in match[1].split(","))
        path = fields["file"].replace("%2C", ",").replace("%3A", ":").replace("%25", "%")
        found.append((path, int(fields["line"]), int(fields.get("col", 0))))
    return found


READERS: dict[str, Callable[[str], list[Place]]] = {
    "json": in_json,
    "sarif": in_sarif,
    "gitlab": in_gitlab,
    "checkstyle": in_checkstyle,
    "junit": in_junit,
    "rdjson": in_rdjson,
    "hadolint": in_hadolint,
    "github": in_github,
}


def test_every_format_is_read_back() -> None:
    assert {*READERS, "markdown", "concise"} == set(FORMATS)


@pytest.mark.parametrize("name", READERS)
def test_no_format_loses_a_finding(name: str) -> None:
    files = (checked(DOCKERFILE, AWKWARD), checked("FROM scratch\n", "empty/Dockerfile"), checked(BROKEN, "broken"))
    expected = places(*files)
    assert len(expected) >= 5
    found = sorted(READERS[name](rendered(name, *files)))
    if name == "rdjson":  # its columns count bytes
        lines = {file.path: file.text.splitlines() for file in files}
        expected = [
            (path, line, len(lines[path][line - 1][: column - 1].encode()) + 1) for path, line, column in expected
        ]
    if name == "gitlab":  # a format for findings only
        expected = [place for place in expected if place[0] != "broken"]
    assert found == expected


@pytest.mark.shared
def test_no_format_loses_a_finding_of_real_files(shared: Path) -> None:
    import random
    import tarfile

    with tarfile.open(shared / "corpus" / "dockerfiles.tar.xz") as archive:
        members = random.Random(5).sample([member for member in archive if member.isfile()], 300)
        texts = {member.name.removeprefix("./"): archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    files = []
    for name, data in texts.items():
        try:
            files.append(checked(data.decode("utf-8-sig"), name))
        except UnicodeDecodeError:
            continue
    expected = places(*files)
    broken = {file.path for file in files if file.report.errors}
    assert len(expected) > 100
    lines = [(path, line) for path, line, _ in expected]
    for name, read in READERS.items():
        found = sorted(read(rendered(name, *files)))
        wanted = [place for place in lines if name != "gitlab" or place[0] not in broken]
        assert [(path, line) for path, line, _ in found] == wanted, name
    # Columns of rdjson count bytes, and GitHub takes none over several lines.
    for name in ("json", "sarif", "checkstyle", "hadolint"):
        assert sorted(READERS[name](rendered(name, *files))) == expected, name


def test_fingerprints_stay_when_lines_move_and_change_with_the_command() -> None:
    def marks(text: str) -> list[str]:
        return [mark for _, mark in fingerprinted(checked(text))]

    run = "RUN apt-get update && apt-get install -y curl\n"
    before = marks(f"FROM debian:12\n{run}")
    assert before == marks(f"# a comment\n\nFROM debian:12\nENV A=b\n{run}")
    assert before == marks("FROM debian:12\nRUN apt-get \\\n    update && apt-get install -y curl\n")
    assert before != marks("FROM debian:12\nRUN apt-get -q update && apt-get install -y curl\n")
    twice = marks(f"FROM debian:12\n{run}{run}")
    assert len(set(twice)) == len(twice) >= 2
    assert twice[0] == before[0]


def test_sarif_has_regions_rules_and_fixes() -> None:
    text = "FROM debian:12\nRUN apt-get update \\\n  && apt-get install -y ü\n"
    log = json.loads(rendered("sarif", checked(text)))
    driver = log["runs"][0]["tool"]["driver"]
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert all(rule["help"]["markdown"].count("```") % 2 == 0 for rule in driver["rules"])
    (result,) = [item for item in log["runs"][0]["results"] if item["ruleId"] == "left-behind"]
    assert driver["rules"][result["ruleIndex"]]["id"] == "left-behind"
    region = result["locations"][0]["physicalLocation"]["region"]
    lines = text.splitlines()
    assert lines[region["startLine"] - 1][region["startColumn"] - 1 : region["endColumn"] - 1] == "apt-get update"


def test_what_a_comment_hides_is_suppressed_in_sarif_and_nowhere_else() -> None:
    run = "RUN apt-get update\n"
    hidden = checked(f"FROM debian:12\n# cleanroom: ignore=left-behind[apt] the next image needs them\n{run}")
    shown = checked(f"FROM debian:12\n{run}")
    (result,) = json.loads(rendered("sarif", hidden))["runs"][0]["results"]
    assert result["suppressions"] == [{"kind": "inSource", "justification": "the next image needs them"}]
    (open_one,) = json.loads(rendered("sarif", shown))["runs"][0]["results"]
    assert result["partialFingerprints"] == open_one["partialFingerprints"]
    assert "suppressions" not in open_one
    for name in FORMATS:
        assert name == "sarif" or "package lists" not in rendered(name, hidden)
    ignored = Checked("Dockerfile", hidden.text, check(hidden.text, ignore=["left-behind"]))
    assert not json.loads(rendered("sarif", ignored))["runs"][0]["results"]


def test_edits_are_in_sarif_and_rdjson_as_in_the_finding() -> None:
    text = "FROM debian:12\nRUN echo ü && apt-get update && apt-get install -y curl\n"
    file = checked(text)
    (finding,) = [item for item in file.report.findings if item.rule == "left-behind"]
    assert finding.fix is not None
    assert finding.fix.safe
    (edit,) = finding.fix.edits
    log = json.loads(rendered("sarif", file))
    (replacement,) = log["runs"][0]["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["insertedContent"]["text"] == edit.text
    place = replacement["deletedRegion"]
    line_start = text.index("RUN")
    assert place == {
        "startLine": 2,
        "startColumn": edit.span.start - line_start + 1,
        "endLine": 2,
        "endColumn": edit.span.end - line_start + 1,
    }
    (suggestion,) = json.loads(rendered("rdjson", file))["diagnostics"][0]["suggestions"]
    assert suggestion["text"] == edit.text
    before = text.splitlines()[1].encode()[: suggestion["range"]["start"]["column"] - 1].decode()
    assert before == text[line_start : edit.span.start]  # bytes, not characters


def offset_of(text: str, position: dict[str, int]) -> int:
    lines = text.splitlines(keepends=True)
    line = lines[position["line"] - 1] if position["line"] <= len(lines) else ""
    before = sum(map(len, lines[: position["line"] - 1]))
    return before + len(line.encode()[: position["column"] - 1].decode())


def suggested(text: str) -> Iterator[tuple[str, str]]:
    """Yield what the text is after each suggestion alone, and after the fix that it shows."""
    file = checked(text)
    if file.report.errors:
        return
    for row, finding in zip(json.loads(rendered("rdjson", file))["diagnostics"], file.report.findings, strict=True):
        for suggestion in row.get("suggestions", ()):
            start, end = (offset_of(text, suggestion["range"][side]) for side in ("start", "end"))
            assert finding.fix is not None
            yield text[:start] + suggestion["text"] + text[end:], apply(text, finding.fix.edits)


@pytest.mark.parametrize(
    "text",
    [
        "FROM debian:12\nRUN apt-get install -y curl\nRUN apt-get update && apt-get install -y é \\\n && true\n"
        "RUN rm -rf /var/lib/apt/lists/*\n",
        "FROM debian:12\nRUN rm -rf /var/lib/apt/lists/* && apt-get update && apt-get install -y git\n",
        "FROM python:3.12\nRUN pip install a; \\\n  echo é; \\\n  pip install b; pip3 install c\nRUN pip cache purge\n",
    ],
)
def test_each_suggestion_is_the_whole_fix(text: str) -> None:
    found = list(suggested(text))
    assert found
    for alone, fixed in found:
        assert alone == fixed


def test_a_suggestion_that_fills_more_than_a_screen_is_none() -> None:
    packages = "".join(f"  package-{number} \\\n" for number in range(50))
    text = f"FROM debian:12\nRUN pip install \\\n{packages}  x && pip install y\n"
    assert any(finding.fix and finding.fix.safe for finding in checked(text).report.findings)
    assert not list(suggested(text))


@pytest.mark.shared
def test_each_suggestion_is_the_whole_fix_of_real_files(corpus: list[tuple[str, str]]) -> None:
    count = 0
    for _, text in corpus[::4]:
        for alone, fixed in suggested(text.replace("\r", "")):
            count += 1
            assert alone == fixed
    assert count > 50


def test_hadolint_goes_by_its_own_codes() -> None:
    rows = json.loads(rendered("hadolint", checked(DOCKERFILE)))
    assert rows[0].keys() == {"code", "column", "file", "level", "line", "message"}
    codes = {row["code"] for row in rows}
    assert {"DL3009", "DL3042"} <= codes
    assert "cleanroom/cleanup-fails" in codes


def test_markdown_shows_what_it_says_and_nothing_else() -> None:
    page = rendered("markdown", checked(DOCKERFILE, AWKWARD))
    assert page.startswith("### cleanroom: ")
    rows = [line for line in page.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == len(checked(DOCKERFILE).report.findings)
    assert all(len(re.split(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert rendered("markdown", checked("FROM scratch\n")) == "### cleanroom\n\nNothing is left behind. ✅\n"


def test_markdown_fits_in_a_comment() -> None:
    text = "FROM debian:12\n" + "RUN apt-get update\n" * 900
    page = rendered("markdown", checked(text))
    assert len(page) < 65_536
    assert re.search(r"… and \d+ more", page)


@pytest.mark.parametrize("name", FORMATS)
def test_control_characters_do_no_harm(name: str) -> None:
    text = "FROM debian:12\nRUN apt-get update \x1b[31m\x00\x0b\n"
    page = rendered(name, checked(text, "a\x1b\nb/Dockerfile"))
    assert not set(page) & set(map(chr, range(9))) | set(page) & {"\x1b", "\x0b"}
    if name in READERS:
        READERS[name](page)


@pytest.mark.oracle
def test_junitparser_reads_it(tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    file = tmp_path / "report.xml"
    file.write_text(rendered("junit", checked(DOCKERFILE, AWKWARD), checked("FROM scratch\n"), checked(BROKEN, "b")))
    read = junitparser.JUnitXml.fromfile(str(file))
    assert [suite.name for suite in read] == [AWKWARD, "Dockerfile", "b"]
    read.update_statistics()
    report = checked(DOCKERFILE).report
    assert read.failures == sum(finding.severity != "info" for finding in report.findings)
    assert read.errors == 1


@pytest.mark.oracle
def test_sarif_tools_reads_it(tmp_path: Path) -> None:
    loader = pytest.importorskip("sarif.loader")
    file = tmp_path / "report.sarif"
    file.write_text(rendered("sarif", checked(DOCKERFILE, "Dockerfile")))
    log = loader.load_sarif_file(str(file))
    findings = checked(DOCKERFILE).report.findings
    assert log.get_result_count() == len(findings)
    assert {record["Line"] for record in log.get_records()} == {finding.line for finding in findings}


@pytest.mark.oracle
def test_the_multitool_finds_the_sarif_valid(tmp_path: Path) -> None:
    tool = program("sarif-multitool")
    file = tmp_path / "report.sarif"
    file.write_text(rendered("sarif", checked(DOCKERFILE, AWKWARD), checked(BROKEN, "b/Dockerfile")))
    done = subprocess.run([tool, "validate", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 files scanned" in done.stdout
    assert ": error" not in done.stdout


@pytest.mark.oracle
def test_the_validator_finds_the_rdjson_valid(tmp_path: Path) -> None:
    tool = program("rdformat-validator")
    file = tmp_path / "report.json"
    file.write_text(rendered("rdjson", checked(DOCKERFILE, AWKWARD), checked(BROKEN, "b/Dockerfile")))
    done = subprocess.run([tool, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_several_outputs_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE)
    outputs = {name: tmp_path / f"report.{name}" for name in ("text", *FORMATS)}
    arguments = [part for name, target in outputs.items() for part in ("--output", f"{name}:{target}")]
    assert main(["check", str(file), *arguments]) == 1
    printed = capfd.readouterr().out
    report = check(DOCKERFILE)
    one = Checked(str(file), DOCKERFILE, report)
    assert outputs["text"].read_text() == printed
    for name in FORMATS:
        assert outputs[name].read_text() == rendered(name, one), name
        assert main(["check", str(file), "--format", name]) == 1
        assert capfd.readouterr().out == rendered(name, one), name


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("sarf:x", "no format 'sarf'; did you mean 'sarif'?"),
        ("sarif", "'sarif' is not FORMAT:FILE, such as sarif:cleanroom.sarif"),
        ("sarif:Dockerfile/x", "--output: Dockerfile: file exists"),
        ("sarif:.", "--output: .: is a directory"),
    ],
)
def test_an_output_that_cannot_be(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dockerfile").write_text(DOCKERFILE)
    assert main(["check", "Dockerfile", "--output", output]) == 2
    assert message in capfd.readouterr().err


def test_two_outputs_to_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dockerfile").write_text(DOCKERFILE)
    assert main(["check", "Dockerfile", "--output", "sarif:x", "--output", "junit:./x"]) == 2
    assert "both sarif and junit would be written to ./x" in capfd.readouterr().err
    assert not Path("x").exists()


def test_an_output_makes_its_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dockerfile").write_text(DOCKERFILE)
    assert main(["check", "Dockerfile", "--output", "sarif:build/reports/x"]) == 1
    assert json.loads(Path("build/reports/x").read_text())["runs"]


@pytest.mark.parametrize("command", ["check", "enrich"])
def test_a_format_that_is_not_known(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([command, "Dockerfile", "--format", "sarf"]) == 2
    assert "no format 'sarf'; did you mean 'sarif'? (there are: text, concise, json" in capfd.readouterr().err


def test_files_that_cannot_be_read_are_in_the_reports(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nowhere"), "--format", "checkstyle"]) == 2
    assert in_checkstyle(capfd.readouterr().out) == [(str(tmp_path / "nowhere"), 1, 1)]
