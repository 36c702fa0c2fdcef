"""What a reader of another kind of file can say besides its instructions."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

import cleanroom
from cleanroom import project
from cleanroom.formats.findings import text as text_feed
from cleanroom.formats.findings.fingerprints import advice
from cleanroom.lint.findings import Report
from cleanroom.project.discover import discover
from cleanroom.registries import READERS
from cleanroom.syntax import dockerfile
from cleanroom.syntax.dockerfile import Dockerfile
from cleanroom.syntax.readers import Reader


def _parse(text: str) -> Dockerfile:
    return replace(dockerfile.parse(text), run="step")


SCRIPTS = Reader(
    "scripts", "files that hold scripts alone", ("*.scripts",), _parse, recognises=lambda text: "FROM" in text
)
TEXT = "FROM python:3.12\nRUN <<end\npip install requests\nend\n"


def test_files_of_another_kind_are_passed_over_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project.discover, "READERS", {**READERS, SCRIPTS.name: SCRIPTS})
    for name, data in {"a.scripts": TEXT.encode(), "b.scripts": b"other\n", "c.scripts": b"\xff"}.items():
        (tmp_path / name).write_bytes(data)
    found, troubles = discover(str(tmp_path), lambda _path, _is_folder: False)
    assert [Path(path).name for path in found] == ["a.scripts", "c.scripts"]  # what cannot be read is said later
    assert not troubles
    assert discover(str(tmp_path / "b.scripts"), lambda _path, _is_folder: False)[0] == [str(tmp_path / "b.scripts")]


@pytest.mark.parametrize("prefer", ["", "mount", "prevent"])
def test_a_file_of_scripts_has_no_mount_and_no_env(prefer: str) -> None:
    (finding,) = cleanroom.check(TEXT, reader=SCRIPTS, prefer=prefer).findings
    assert {advice.text for advice in finding.remedies} == {
        "--no-cache-dir",
        "export PIP_NO_CACHE_DIR=1",
        "rm -rf ~/.cache/pip",
    }
    fixed = cleanroom.fix(TEXT, reader=SCRIPTS, prefer=prefer, unsafe=True).text
    assert fixed == TEXT.replace("pip install", "pip install --no-cache-dir")


def test_its_run_goes_by_its_own_name() -> None:
    text = TEXT.replace("pip install requests", "apt-get update")
    (finding,) = cleanroom.check(text, reader=SCRIPTS).findings
    assert finding.fix is not None
    shown = "".join(text_feed.render("x.scripts", text, Report((replace(finding, fix=None),)), text_feed.Look()))
    assert "add at the end of this step: rm -rf" in shown
    assert "at the end of this step" in finding.fix.title
    assert "at the end of this step" in advice(finding)


def test_only_its_last_stage_ships() -> None:
    text = f"{TEXT}FROM debian\nRUN true\n"
    assert cleanroom.check(text).findings
    assert not cleanroom.check(text, reader=SCRIPTS).findings
    assert cleanroom.check(text, reader=SCRIPTS, target="0").findings
