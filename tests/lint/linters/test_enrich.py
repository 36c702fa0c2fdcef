"""What cleanroom says to the reports of other linters."""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from cleanroom.cli import main
from cleanroom.lint.linters.enrich import VERDICTS, canonical, enrich
from cleanroom.lint.linters.reports import ReportError, parse
from cleanroom.registries import RULES, library
from tests.oracles import linters as export_tools
from tests.support import case_file, program


def _schema(name: str) -> referencing.Resource[Any]:
    text = (files("cleanroom") / "schemas" / name).read_text()
    return referencing.Resource.from_contents(json.loads(text))


SCHEMA = jsonschema.Draft202012Validator(
    _schema("enriched-1.schema.json").contents,
    registry=referencing.Registry().with_resource("cleanroom/findings/1", _schema("findings-1.schema.json")),
)
CASES = case_file("lint/linters/enrich.yaml")


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_case(case: dict[str, Any]) -> None:
    one = enrich("Dockerfile", case["dockerfile"], parse(json.dumps(case["report"])), library(), RULES)
    assert [item.verdict for item in one.judged] == [verdict for verdict, _ in case["judged"]]
    for item, (_, reason) in zip(one.judged, case["judged"], strict=True):
        assert reason in item.reason
        assert bool(item.findings) is (item.verdict == "confirmed")
        assert item.verdict in VERDICTS
    assert [item.is_ours for item in one.judged] == case.get("ours", [False] * len(one.judged))
    assert [f"{finding.manager}.{finding.cache}" for finding in one.missed] == case["missed"]


@pytest.mark.parametrize(
    ("rule", "name"),
    [("AVD-DS-0025", "DS-0025"), ("DS025", "DS-0025"), ("hadolint/DL3009", "DL3009"), ("a.b.c-d", "c-d")],
)
def test_a_rule_goes_by_one_name(rule: str, name: str) -> None:
    assert canonical(rule) == name


@pytest.mark.parametrize("text", ["", "nope", "3", "{}", "[3]", '{"runs": 3}', '{"results": [{}]}', "[" * 100000])
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(ReportError, match=r"^the report is"):
        parse(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.12\nRUN pip install flask\n"
        "RUN apt-get update && apt-get install -y curl && rm -rf /tmp/build\n"
        "RUN pip install flask && rm -rf /root/.cache/pip\n"
    )
    return tmp_path


def real_hadolint(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([program("hadolint"), *arguments], input=text, capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.oracle
@pytest.mark.parametrize("form", ["json", "sarif"])
def test_the_real_hadolint(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    (folder / "report").write_text(real_hadolint("--format", form, "Dockerfile"))
    assert main(["enrich", "report"]) == 1
    out = capsys.readouterr().out
    assert "Dockerfile:2  DL3042  confirmed\n" in out
    assert "     = fix: add --no-cache-dir\n" in out
    assert "Dockerfile:4  DL3042  wrong\n" in out
    assert "removed in the same RUN" in out
    assert "Dockerfile:3  left-behind[apt.lists]  missed\n" in out
    assert out.splitlines()[-1].startswith("1 confirmed, 1 wrong, 0 optional, 0 unknown, ")


@pytest.mark.oracle
@pytest.mark.parametrize("tool", ["semgrep", "checkov", "trivy"])
def test_our_rules_in_the_real_tools(
    folder: Path, tool: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    if not export_tools.is_there(tool):
        pytest.skip(f"{tool} is not installed")
    rules, reports = tmp_path_factory.mktemp("rules"), tmp_path_factory.mktemp("reports")
    runs = {
        "semgrep": [f"--json-output={reports}/json --sarif-output={reports}/sarif"],
        "checkov": [f"-o json -o sarif --output-file-path {reports}"],
        "trivy": [f"--format {form} --output {reports}/{form}" for form in ("json", "sarif")],
    }
    for options in runs[tool]:
        export_tools.run(tool, folder, rules, *options.split())
    assert len(list(reports.iterdir())) == 2
    for report in reports.iterdir():
        assert main(["enrich", str(report)]) == 1
        out = capsys.readouterr().out
        for line in (2, 3):
            assert re.search(rf"^Dockerfile:{line}  [\w.-]+  confirmed, by cleanroom's own rule$", out, re.MULTILINE)
        assert out.endswith(" 0 missed; 2 by cleanroom's own rules\n")


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"code": "DL3042", "column": 1, "file": str(folder / "Dockerfile"), "line": 2, "message": "m"}
    Path("report").write_text(json.dumps([row]))
    assert main(["enrich", "report", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    SCHEMA.validate(document)
    assert not document["errors"]
    (finding,) = document["findings"]
    assert (finding["file"], finding["rule"], finding["verdict"]) == ("Dockerfile", "DL3042", "confirmed")
    assert finding["cleanroom"][0]["rule"] == "left-behind"
    assert [missed["manager"] for missed in document["missed"]] == ["apt"]
    assert main(["enrich", "report", "--format", "sarif"]) == 1
    assert len(json.loads(capsys.readouterr().out)["runs"][0]["results"]) == 2


@pytest.mark.usefixtures("folder")
def test_exit_codes_and_what_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("report").write_text("[]")
    assert main(["enrich", "report"]) == 0
    assert main(["enrich", "report", "Dockerfile"]) == 1
    assert main(["enrich", "report", "Dockerfile", "--fail-on", "error"]) == 0
    assert main(["enrich", "none"]) == 2
    assert "none: " in capsys.readouterr().err
    row = {"code": "DL3042", "column": 1, "file": "-", "line": 2, "message": "m"}
    Path("report").write_text(json.dumps([row]))
    assert main(["enrich", "report"]) == 2
    assert "cleanroom enrich REPORT DOCKERFILE" in capsys.readouterr().err
    assert main(["enrich", "report", "Dockerfile"]) == 1
    assert "Dockerfile:2  DL3042  confirmed" in capsys.readouterr().out
    Path("Dockerfile").write_text("FRMO debian\n")
    assert main(["enrich", "report", "Dockerfile", "--format", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    SCHEMA.validate(document)
    assert document["findings"][0]["verdict"] == "unknown"
    assert document["errors"][0]["line"] == 1
    Path("report").write_text(json.dumps([row | {"file": "gone/Dockerfile"}]))
    assert main(["enrich", "report"]) == 2
    assert capsys.readouterr().err.startswith("gone/Dockerfile: error: ")
