"""``cleanroom fix`` as it is called: what it writes where, how it exits, and what it leaves alone."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from cleanroom.cli import main
from cleanroom.project.write import ChangedError, write_atomically

DIRTY = "FROM python:3.12\nRUN pip install flask\n"
CLEAN = "FROM python:3.12\nRUN pip install --no-cache-dir flask\n"
LINE = "left-behind[pip.cache]: add --no-cache-dir"


@pytest.fixture(autouse=True)
def dockerfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to mend in an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    file = Path("Dockerfile")
    file.write_text(DIRTY)
    return file


def test_it_writes_and_says_what(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", "."]) == 0
    assert dockerfile.read_text() == CLEAN
    assert capsys.readouterr() == (f"Dockerfile:2: fixed: {LINE}\n", "1 finding fixed in 1 file, 0 not.\n")
    assert main(["fix", "."]) == 0
    assert capsys.readouterr() == ("", "Nothing to fix.\n")
    assert [path.name for path in Path().iterdir()] == ["Dockerfile"]


def test_it_says_what_it_did_not_fix_and_why(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dockerfile.write_text("FROM debian:12\nRUN apt-get update &\n")
    assert main(["fix", "Dockerfile"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Dockerfile:2: not fixed: left-behind[apt.lists]: the command runs in the background")
    assert err == "0 findings fixed, 1 not.\n"


def test_it_says_how_to_learn_why_what_is_for_information_is_not_fixed(
    dockerfile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile.write_text("FROM python:3\nRUN pip install --no-cache-dir a\nRUN pip install --no-cache-dir b\n")
    assert main(["fix", "Dockerfile"]) == 0
    assert capsys.readouterr() == ("", "0 findings fixed, 1 not (-v says why).\n")
    assert main(["fix", "-v", "Dockerfile"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Dockerfile:3: not fixed: split-installs[pip]: ")
    assert err == "0 findings fixed, 1 not.\n"


def test_check_mends_first_and_reports_what_is_left(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dockerfile.write_text(f"{DIRTY}RUN apt-get update &\n")
    assert main(["check", "--fix", "--format", "json", "--output", "sarif:left.sarif", "."]) == 1
    out, err = capsys.readouterr()
    assert dockerfile.read_text() == f"{CLEAN}RUN apt-get update &\n"
    assert [finding["manager"] for finding in json.loads(out)["findings"]] == ["apt"]
    assert len(json.loads(Path("left.sarif").read_text())["runs"][0]["results"]) == 1
    assert err == f"Dockerfile:2: fixed: {LINE}\n1 finding fixed in 1 file.\n"
    dockerfile.write_text(DIRTY)
    assert main(["check", "--fix", "."]) == 0
    assert capsys.readouterr() == (
        "",
        f"Dockerfile:2: fixed: {LINE}\n1 finding fixed in 1 file.\nNo findings in 1 file.\n",
    )
    assert main(["check", "--fix", "."]) == 0
    assert capsys.readouterr() == ("", "No findings in 1 file.\n")


def test_check_says_once_what_it_cannot_read_to_mend(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dockerfile.write_text("FRMO debian\n")
    assert main(["check", "--fix", "Dockerfile", "none"]) == 2
    err = capsys.readouterr().err
    assert err.count("Dockerfile:1:1: error: ") == err.count("none: error: ") == 1
    assert dockerfile.read_text() == "FRMO debian\n"
    assert main(["check", "--fix", "-"]) == 2
    assert "cleanroom fix -" in capsys.readouterr().err


def test_check_says_where_it_could_not_write_what_it_mended(
    dockerfile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "the file is read-only", "Dockerfile")

    monkeypatch.setattr("cleanroom.project.fix.write_atomically", refuse)
    assert main(["check", "--fix", "--fail-on", "error", "Dockerfile"]) == 2
    assert "Dockerfile: error: not written: the file is read-only\n" in capsys.readouterr().err
    assert dockerfile.read_text() == DIRTY


def test_a_diff_writes_nothing(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", "--diff", "Dockerfile"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("--- a/Dockerfile\n+++ b/Dockerfile\n")
    assert "\n-RUN pip install flask\n+RUN pip install --no-cache-dir flask\n" in out
    assert f"Dockerfile:2: can be fixed: {LINE}\n" in err
    assert dockerfile.read_text() == DIRTY


def test_check_writes_nothing_and_exits_1(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fix", "--check", "Dockerfile"]) == 1
    assert capsys.readouterr().out == f"Dockerfile:2: can be fixed: {LINE}\n"
    assert dockerfile.read_text() == DIRTY
    dockerfile.write_text(CLEAN)
    assert main(["fix", "--check", "Dockerfile"]) == 0


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(DIRTY.encode())))
    assert main(["fix", "-"]) == 0
    out, err = capsys.readouterr()
    assert out == CLEAN
    assert LINE in err


def test_a_link_is_followed_and_the_mode_kept(dockerfile: Path) -> None:
    dockerfile.chmod(0o640)
    Path("link").symlink_to("Dockerfile")
    assert main(["fix", "link"]) == 0
    assert Path("link").is_symlink()
    assert dockerfile.read_text() == CLEAN
    assert dockerfile.stat().st_mode & 0o777 == 0o640


def test_marks_and_line_ends_stay(dockerfile: Path) -> None:
    dockerfile.write_bytes(b"\xef\xbb\xbf" + DIRTY.replace("\n", "\r\n").encode())
    assert main(["fix", "Dockerfile"]) == 0
    assert dockerfile.read_bytes() == b"\xef\xbb\xbf" + CLEAN.replace("\n", "\r\n").encode()


def test_what_cannot_be_read_or_written(
    dockerfile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("latin").write_bytes(b"FROM debian\n# \xe9\n")
    assert main(["fix", "latin"]) == 2
    assert capsys.readouterr().err.startswith("latin: error: not UTF-8 text (line 2)")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may write everywhere
    assert main(["fix", "Dockerfile"]) == 2
    assert "Dockerfile: error: not written: the file is read-only\n" in capsys.readouterr().err
    assert dockerfile.read_text() == DIRTY


def test_a_file_that_changed_meanwhile_is_left_alone(dockerfile: Path) -> None:
    with pytest.raises(ChangedError) as caught:
        write_atomically(dockerfile, CLEAN, over=b"what it was")
    assert caught.value.errno == errno.EBUSY
    assert dockerfile.read_text() == DIRTY
    assert [path.name for path in Path().iterdir()] == ["Dockerfile"]


def test_an_error_of_ours_costs_one_file(
    dockerfile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("cleanroom.lint.fix.fix", broken)
    assert main(["fix", "Dockerfile"]) == 2
    error = capsys.readouterr().err
    assert "Dockerfile: error: internal error: RuntimeError: boom; run again with -v for the traceback\n" in error
    assert main(["fix", "-v", "Dockerfile"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert dockerfile.read_text() == DIRTY
