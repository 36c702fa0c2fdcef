"""How a call ends on a bad day: one line, never a traceback, never "internal error"."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIRTY = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"


def start(folder: Path, *arguments: str, **how: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "cleanroom", *arguments],
        cwd=folder,
        text=True,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **how,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DIRTY)
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
@pytest.mark.parametrize(
    "command", [("check", "."), ("check", "--format", "json", "."), ("fix", "--diff", "."), ("list",)]
)
def test_a_full_disk(folder: Path, command: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = start(folder, *command, stdout=full)
    assert done.returncode == 2
    assert "Error: standard output cannot be written: no space left on device\n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("check", "."), ("list",)])
def test_a_closed_output(folder: Path, command: tuple[str, ...]) -> None:
    done = start(folder, *command, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "standard output cannot be written: it is closed" in done.stderr


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = start(gone, "check", ".", preexec_fn=gone.rmdir)
    assert (done.returncode, done.stderr) == (2, "Error: the current folder is gone\n")


def test_ctrl_c_while_folders_are_walked(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from cleanroom.project import discover\n"
        "discover.os.walk = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "from cleanroom import __main__\n"
        "sys.exit(__main__.main(['check', '.', *sys.argv[1:]]))\n"
    )
    for more in ([], ["--format", "json"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *more],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert (done.returncode, done.stderr.strip()) == (130, "Interrupted."), more


def test_a_write_that_failed_is_not_nothing_to_fix(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"\xff")
    done = start(folder, "fix", ".", stdout=subprocess.PIPE)
    assert done.returncode == 2
    assert "Nothing to fix" not in done.stderr


def test_file_names_forge_nothing(tmp_path: Path) -> None:
    name = "Dockerfile.\x1b[2Jx\n::error ::forged"
    (tmp_path / name).write_text(DIRTY)
    for form in (
        ["check", "--format", "github"],
        ["check"],
        ["check", "--format", "concise"],
        ["fix", "--diff"],
        ["fix", "--check"],
    ):
        done = start(tmp_path, *form, ".", stdout=subprocess.PIPE)
        for said in (done.stdout, done.stderr):
            assert "\x1b" not in said, form
            assert "\n::error ::forged" not in said, form


def test_bytes_pass_through_whatever_the_locale(tmp_path: Path) -> None:
    text = "# €\n" + DIRTY
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "Dockerfile").write_text(text, encoding="utf-8")
    for arguments in (["fix", "-"], ["fix", "--diff", "."]):
        done = subprocess.run(
            [sys.executable, "-m", "cleanroom", *arguments],
            cwd=tmp_path,
            input=text.encode(),
            capture_output=True,
            check=False,
            env=environment,
        )
        assert "# €".encode() in done.stdout
