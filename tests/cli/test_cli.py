import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import cleanroom
from cleanroom import registries
from cleanroom.cli import main
from tests.support import ROOT

DIRTY = "FROM python:3.12\nRUN pip install flask\n"
CLEAN = "FROM python:3.12\nRUN pip install --no-cache-dir flask\n"


@dataclass
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> Result:
        code = main(arguments)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


def cleanroom_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cleanroom", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# check: what is found, where it is printed, how it exits.


def test_a_finding(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    result = run("check", "Dockerfile")
    assert result.code == 1
    assert result.out.startswith("Dockerfile:2:5  warning  left-behind[pip.cache]  ")
    assert "\n   2 | RUN pip install flask\n     |     ~~~~~~~~~~~~~~~~~\n" in result.out
    assert result.err == "1 finding in 1 file: 1 warning\n"


def test_nothing_found(run: Run) -> None:
    Path("Dockerfile").write_text(CLEAN)
    assert run("check", ".") == Result(0, "", "No findings in 1 file.\n")


def test_standard_input() -> None:
    result = cleanroom_process("check", "-", input=DIRTY)
    assert result.returncode == 1
    assert result.stdout.startswith("-:2:5  warning  left-behind[pip.cache]")


def test_json(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    result = run("check", "--format", "json", ".", "missing")
    assert result.code == 2
    assert result.err == "missing: error: no such file or folder\n"
    document = json.loads(result.out)
    schema = json.loads((Path(cleanroom.__path__[0]) / "schemas/findings-1.schema.json").read_text())
    jsonschema.validate(document, schema)
    places = [(row["file"], row["line"], row["rule"]) for row in document["findings"]]
    assert places == [("Dockerfile", 2, "left-behind")]
    assert document["errors"] == [
        {"file": "missing", "line": 1, "column": 1, "message": "no such file or folder"},
    ]


def test_each_trouble_is_one_line_and_the_rest_goes_on(run: Run) -> None:
    Path("empty").mkdir()
    Path("Dockerfile").write_text(DIRTY)
    Path("Dockerfile.latin").write_bytes(b"FROM x\n# \xe9\n")
    Path("Dockerfile.typo").write_text("FRMO debian\n")
    result = run("check", "missing", "empty", ".")
    assert result.code == 2
    lines = result.err.splitlines()
    assert lines[:3] == [
        "empty: error: no Dockerfile in this folder",
        "missing: error: no such file or folder",
        "Dockerfile.latin: error: not UTF-8 text (line 2); convert it to UTF-8",
    ]
    assert re.match(r"Dockerfile\.typo:1:1: error: .*FRMO", lines[3])
    assert lines[4] == "1 finding in 1 of 2 files: 1 warning (1 with errors, see above)"
    assert "Dockerfile:2:5" in result.out


def test_a_file_given_twice_is_checked_once(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    assert run("check", ".", "Dockerfile", str(Path("Dockerfile").absolute())).err == "1 finding in 1 file: 1 warning\n"


@pytest.mark.parametrize(("threshold", "code"), [("info", 1), ("warning", 1), ("error", 0)])
def test_fail_on(run: Run, threshold: str, code: int) -> None:
    Path("Dockerfile").write_text(DIRTY)
    assert run("check", "--fail-on", threshold, ".").code == code


def test_rules_are_selected_and_ignored(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    assert run("check", "--ignore", "left-behind[pip]", ".").code == 0
    assert run("check", "--ignore", "cleaned-late,left-behind[pip.cache]", ".").code == 0
    assert run("check", "--ignore", "left-behind[pip3]", ".").code == 0
    assert run("check", "--ignore", "pip", ".").code == 0
    assert run("check", "--ignore", "left-behind[apt]", ".").code == 1
    assert run("check", "--select", "cleaned-late", ".").code == 0
    assert run("check", "--select", "left-behind", ".").code == 1


def test_target(run: Run) -> None:
    stages = "FROM python:3.12 AS one\nRUN pip install flask\nFROM scratch\nCOPY --from=one /a /a\n"
    Path("Dockerfile").write_text(stages)
    assert run("check", ".").code == 0
    assert run("check", "--target", "one", ".").code == 1


def test_exclude(run: Run) -> None:
    Path("vendor").mkdir()
    Path("vendor/Dockerfile").write_text(DIRTY)
    Path("Dockerfile").write_text(CLEAN)
    assert run("check", ".").code == 1
    assert run("check", "--exclude", "vendor/", ".").code == 0
    assert run("check", "--exclude", "vendor/", "vendor/Dockerfile").code == 1


def test_settings_are_those_of_what_is_checked(run: Run) -> None:
    folders = {"a": 'ignore = ["left-behind[pip]"]', "b": 'fail-on = "error"', "c": 'exclude = ["x"]'}
    for name, settings in folders.items():
        Path(name, "x").mkdir(parents=True)
        Path(name, "x/Dockerfile").write_text(DIRTY)
        Path(name, "cleanroom.toml").write_text(settings)
    Path("c/Dockerfile").write_text(CLEAN)
    assert run("check", "a/x/Dockerfile") == Result(0, "", "No findings in 1 file.\n")
    assert run("check", "b").code == 0
    assert run("check", "b", "--fail-on", "warning").code == 1
    assert run("check", "c").code == 0
    assert run("check", "a", "b", "c").err == "1 finding in 1 of 3 files: 1 warning\n"


def test_settings_with_mistakes(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    Path("cleanroom.toml").write_text("ignroe = []\n")
    result = run("check", ".")
    assert result.code == 2
    file = Path("cleanroom.toml").absolute()
    assert result.err == f"Error: {file}: unknown setting 'ignroe'; did you mean 'ignore'?\n"


def test_scripts_are_read_from_the_context(run: Run) -> None:
    Path("docker").mkdir()
    Path("docker/Dockerfile").write_text("FROM python:3.12\nCOPY setup.sh /\nRUN sh /setup.sh\n")
    Path("setup.sh").write_text("pip install flask\n")
    assert run("check", "docker").code == 0
    assert "not known" in run("check", "-v", "docker").err
    assert run("check", "--context", ".", "docker").code == 1
    assert run("check", "--context", "nowhere", "docker").err.endswith("Error: --context: 'nowhere' is no folder\n")


def test_nothing_outside_the_context_is_read(tmp_path: Path) -> None:
    from cleanroom.project.files import _read_script

    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "secret").write_text("x")
    (context / "link").symlink_to(tmp_path / "secret")
    (context / "large").write_text("x" * (1 << 20) + "x")
    (context / "binary").write_bytes(b"\xff")
    (context / "a.sh").write_text("echo\n")
    for path in ("../secret", "link", "large", "binary", "missing", "", ".", "\0"):
        assert _read_script(str(context), path) is None
    for path in ("a.sh", "./a.sh", "/a.sh", "x/../a.sh"):
        assert _read_script(str(context), path) == "echo\n"


def test_many_files_give_what_each_gives_alone(run: Run) -> None:
    names = [f"Dockerfile.{number:03}" for number in range(120)]
    for number, name in enumerate(names):
        Path(name).write_text(CLEAN if number % 3 else DIRTY)
    together = run("check", ".")
    assert together.out == "".join(run("check", name).out for name in names)
    assert together.err == "40 findings in 40 of 120 files: 40 warnings\n"


def test_a_fault_in_one_file_does_not_stop_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from cleanroom import api

    check = api.check

    def fragile(text: str, **options: Any) -> object:
        if "BOOM" in text:
            raise RuntimeError("boom")
        return check(text, **options)

    monkeypatch.setattr(api, "check", fragile)
    Path("Dockerfile").write_text(DIRTY)
    Path("Dockerfile.boom").write_text("BOOM")
    result = run("check", ".")
    assert result.code == 2
    assert "Dockerfile:2:5" in result.out
    message = "Dockerfile.boom: error: internal error: RuntimeError: boom"
    assert result.err.startswith(f"{message}; run again with -v for the traceback\n")
    assert "Traceback" not in result.err
    verbose = run("check", "-v", ".").err
    assert f"{message}\nTraceback" in verbose


def test_names_that_no_encoding_has(run: Run) -> None:
    name = os.fsdecode(b"Dockerfile.\xff\x1b")
    Path(name).write_text(DIRTY)
    assert run("check", ".").out.startswith("Dockerfile.\\udcff␛:2:5")
    assert json.loads(run("check", "--format", "json", ".").out)["findings"][0]["file"] == name


def test_a_terminal_with_few_characters(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.12\nRUN pip install flask # 漢\n")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    result = cleanroom_process("check", ".", cwd=tmp_path, env=environment)
    assert (result.returncode, "# \\u6f22" in result.stdout) == (1, True)


def test_colour_is_for_terminals_and_those_who_ask(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("Dockerfile").write_text(DIRTY)
    assert "\x1b[" not in run("check", ".").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[33mwarning" in run("check", ".").out


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"Dockerfile.{number}").write_text(DIRTY * 20)
    command = f"{sys.executable} -m cleanroom check . | head -n 1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stdout.endswith("\n141\n")
    assert result.stderr == ""


# A progress bar, seen by one who watches.


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
@pytest.mark.parametrize(("count", "shown"), [(10, False), (60, True)])
def test_progress_is_shown_to_those_who_watch(tmp_path: Path, count: int, shown: bool) -> None:
    import pty

    for number in range(count):
        (tmp_path / f"Dockerfile.{number}").write_text(CLEAN)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cleanroom", "check", "."]
    result = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    assert result.returncode == 0
    assert (b"Checking" in seen) is shown
    assert b"No findings in" in seen


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other end is closed
        return b""


# The other commands.


def test_query(run: Run) -> None:
    result = run("query", "pip")
    assert (result.code, result.err) == (0, "note: misses a cache that PIP_CACHE_DIR or XDG_CACHE_HOME moved\n")
    assert run("query", "apt").err == ""
    assert result.out == "rm -rf ~/.cache/pip\n"
    assert json.loads(run("query", "--format", "json", "pip").out)["text"] == result.out.strip()


def test_query_of_a_cache_that_is_none(run: Run) -> None:
    result = run("query", "--cache", "cach", "pip")
    assert (result.code, result.out) == (2, "")
    assert "cach" in result.err


def test_list(run: Run) -> None:
    lines = run("list").out.splitlines()
    assert any(line.split()[0] == "pip" and "Python packages" in line for line in lines)
    assert lines == sorted(lines)


def test_show(run: Run) -> None:
    page = run("show", "pip3").out
    for fact in ("~/.cache/pip", "--no-cache-dir", "PIP_NO_CACHE_DIR=1", "pip/issues/12278", "DL3042", "type=cache"):
        assert fact in page
    data = json.loads(run("show", "pip", "--format", "json").out)
    assert data["caches"][0]["id"] == "cache"
    assert data["peers"]["hadolint"] == ["DL3042"]


def test_explain(run: Run) -> None:
    page = run("explain", "left-behind[pip.cache]").out
    assert page.startswith("left-behind (warning)\n")
    assert page == run("explain", "left-behind").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chek",), "no such command: 'chek'; did you mean 'check'?"),
        (("recipes", "validte"), "no such command: 'validte'; did you mean 'validate'?"),
        (("query", "pipp"), "no recipe for 'pipp'; did you mean 'pip'"),
        (("show", "pipp"), "no recipe for 'pipp'; did you mean 'pip'"),
        (("explain", "left-behnd"), "there is no rule 'left-behnd'; did you mean 'left-behind'?"),
        (("check", "--ignore", "cleaned-lat", "."), "there is no rule 'cleaned-lat'; did you mean 'cleaned-late'?"),
        (("check", "--ignore", "left-behind[pipp]", "."), "no recipe for 'pipp'; did you mean 'pip'"),
        (("check", "--ignore", "left-behind[pip.cach]", "."), "pip has no cache 'cach'; did you mean 'cache'?"),
        (("check", "--ignore", "left-behind[", "."), "'left-behind[' is no rule"),
        (("check", "--format", "jsn", "."), "--format"),
        (("check",), "PATH"),
    ],
)
def test_mistakes_are_named(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_help_and_version(run: Run) -> None:
    page = run("--help")
    assert page.code == 0
    for command in ("check", "query", "list", "show", "explain", "recipes"):
        assert re.search(rf"^  {command} ", page.out, re.MULTILINE)
        assert run(command, "--help").code == 0
    assert run("--version").out == f"{cleanroom.__version__}\n"


def test_a_fault_of_ours_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(registries, "library", broken)
    result = run("list")
    assert result.code == 2
    assert result.err == "Error: internal error: RuntimeError: first line; run again with -v for the traceback\n"
    verbose = run("list", "-v").err
    assert "Traceback" in verbose
    assert verbose.endswith("Error: internal error: RuntimeError: first line\n")


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(registries, "library", interrupt)
    result = run("list")
    assert (result.code, result.err.strip()) == (130, "Interrupted.")


# recipes


def test_recipes_validate(run: Run) -> None:
    recipes = ROOT / "recipes"
    assert run("recipes", "validate", str(recipes)).code == 0
    Path("x.yaml").write_text("id: x\nnmae: X\n")
    result = run("recipes", "validate", "x.yaml")
    assert result.code == 1
    assert re.search(r"^x\.yaml:2:1: .*nmae.*name", result.out, re.MULTILINE)
    assert run("recipes", "validate", "missing.yaml").err == "missing.yaml: error: no such file or folder\n"
    assert run("recipes", "validate", "missing.yaml").code == 2


def test_recipes_fmt(run: Run) -> None:
    recipe = ROOT / "recipes/pip.yaml"
    text = recipe.read_text()
    Path("pip.yaml").write_text(text.replace("summary: Python packages", "summary:   'Python packages'"))
    assert run("recipes", "fmt", "--check", "pip.yaml").code == 1
    assert run("recipes", "fmt", "pip.yaml") == Result(0, "pip.yaml: rewritten\n", "")
    assert run("recipes", "fmt", "--check", ".") == Result(0, "", "")
    Path("bad.yaml").write_text("a: [\n")
    result = run("recipes", "fmt", ".")
    assert result.code == 2
    assert result.err.startswith("bad.yaml:")
    Path("empty").mkdir()
    assert run("recipes", "fmt", "empty").err == "empty: error: no recipe (*.yaml) in this folder\n"


# In Python.


def test_the_package_gives_its_names() -> None:
    report = cleanroom.check(DIRTY)
    assert isinstance(report, cleanroom.Report)
    assert isinstance(report.findings[0], cleanroom.Finding)
    assert cleanroom.library().find("pip").id == "pip"
    from cleanroom.api import check

    assert cleanroom.check is check
    assert set(cleanroom.__all__) <= set(dir(cleanroom))
    with pytest.raises(AttributeError, match="no attribute 'chekc'"):
        _ = cleanroom.chekc  # type: ignore[attr-defined]
