"""The files by which other tools run cleanroom: they are well-formed and call what there is."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import cleanroom
from cleanroom.cli import cli
from cleanroom.formats.findings import text as text_feed
from cleanroom.lint.findings import Checked
from cleanroom.project.discover import is_dockerfile
from cleanroom.registries import FORMATS
from tests.support import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
HEADER, JOBS = yaml.safe_load_all((ROOT / "templates" / "cleanroom.yml").read_text())


def with_inputs(text: str) -> str:
    """Return text of the GitLab template with the defaults of its inputs, as GitLab puts them in."""
    inputs = HEADER["spec"]["inputs"]
    return re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda match: str(inputs[match[1]]["default"]), text)


def assert_runs(words: list[str]) -> None:
    """Fail unless cleanroom has this command and these options, and each format is one."""
    assert words[0] == "cleanroom"
    command = cli.get_command(click.Context(cli), words[1])
    assert command is not None, f"no command {words[1]}"
    # Raises UsageError for an option that is not there, and for a value that it does not take.
    command.make_context(words[1], [*words[2:], "Dockerfile"])


STEMS = ["Dockerfile", "dockerfile", "DOCKERFILE", "Containerfile", "containerfile", "MyDockerfile", "Dockerfiles", "x"]
NAMES = [
    *STEMS,
    *(f"{stem}.{end}" for stem in STEMS for end in ("dev", "py", "dockerignore", *STEMS)),
    *(f"{stem}{end}" for stem in STEMS for end in ("_old", "-dev", ".a.b", "")),
    *("api.dockerfile", "api.DockerFile", ".Dockerfile", ".dockerignore", "README.md"),
]


@pytest.mark.parametrize("identifier", ["cleanroom-check", "cleanroom-fix"])
def test_a_hook_runs_a_command_on_the_files_that_check_finds(identifier: str) -> None:
    hook = HOOKS[identifier]
    assert hook["language"] == "python"
    assert_runs(shlex.split(hook["entry"]))
    for name in NAMES:
        place = f"some/folder/{name}"
        is_passed = bool(re.search(hook["files"], place)) and not re.search(hook["exclude"], place)
        assert is_passed is is_dockerfile(name), name


def step(name: str) -> dict[str, Any]:
    return next(step for step in ACTION["runs"]["steps"] if step.get("name") == name)


def test_the_action_declares_each_input_that_it_reads_and_puts_none_into_a_script() -> None:
    text = (ROOT / "action.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(ACTION["inputs"])
    for one in ACTION["runs"]["steps"]:
        assert ("run" in one) != ("uses" in one)
        assert "${{" not in one.get("run", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("paths", "fail_on", "code"),
    [("Dockerfile\n", "", 1), ("a folder\n\nDockerfile", "info", 1), ("clean", "", 0), ("Dockerfile", "error", 0)],
)
def test_the_step_of_the_action_checks_and_writes_sarif(tmp_path: Path, paths: str, fail_on: str, code: int) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.12\nRUN pip install flask\n")
    for folder, options in (("a folder", ""), ("clean", "--no-cache-dir ")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "Dockerfile").write_text(f"FROM python:3.12\nRUN pip install {options}flask\n")
    run = step("Check")["run"]
    environment = Path(sys.executable).parents[1]  # also where it is not on PATH
    assert (environment / "bin" / "cleanroom").exists()
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", run],
        cwd=tmp_path,
        env={"ENVIRONMENT": str(environment), "PATHS": paths, "FAIL_ON": fail_on, "SARIF_FILE": "out.sarif"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.count("::warning ") == (0 if paths == "clean" else paths.count("o"))
    assert '"version": "2.1.0"' in (tmp_path / "out.sarif").read_text()


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_action_uploads_nothing_that_a_comment_hides(tmp_path: Path) -> None:
    dockerfile = "FROM debian:12\n# cleanroom: ignore=left-behind[apt]\nRUN apt-get update && pip install flask\n"
    checked = Checked("Dockerfile", dockerfile, cleanroom.check(dockerfile))
    (tmp_path / "all.sarif").write_text("".join(FORMATS["sarif"].render([checked])))
    environment = {
        "ENVIRONMENT": str(Path(sys.executable).parents[1]),
        "SARIF_FILE": "all.sarif",
        "UPLOAD": "upload.sarif",
    }
    script = ["bash", "-e", "-o", "pipefail", "-c", step("Leave out what comments hide")["run"]]
    subprocess.run(script, cwd=tmp_path, env=environment, check=True)
    before, after = (json.loads((tmp_path / name).read_text()) for name in ("all.sarif", "upload.sarif"))
    assert [result["suppressions"] for result in before["runs"][0]["results"] if "suppressions" in result]
    (left,) = after["runs"][0]["results"]
    assert "pip" in left["message"]["text"]


def test_the_megalinter_descriptor_finds_the_files_that_check_finds_and_runs_commands(tmp_path: Path) -> None:
    descriptor = yaml.safe_load(next((ROOT / "templates").glob("mega-linter-plugin-*/*.yml")).read_text())
    for name in ("Dockerfile", "Containerfile.dev", "app.Dockerfile", "Dockerfile_old", "README.md", "MyDockerfile"):
        found = any(re.fullmatch(pattern, name) for pattern in descriptor["file_names_regex"])  # as MegaLinter does
        assert found is is_dockerfile(name), name
    (linter,) = descriptor["linters"]
    check = [linter["linter_name"], *linter["cli_lint_extra_args"]]
    assert linter["cli_lint_mode"] in linter["supported_cli_lint_modes"]
    assert "project" not in linter["supported_cli_lint_modes"]  # it names no files then, and check wants some
    report = tmp_path / "report.sarif"
    sarif = [text.replace("{{SARIF_OUTPUT_FILE}}", str(report)) for text in linter["cli_sarif_args"]]
    for fix in ([], [linter["cli_lint_fix_arg_name"]]):  # it may ask for both at once
        assert_runs([*check, *fix])
        assert_runs([*check, *fix, *sarif])
    for example in linter["examples"]:
        assert_runs(shlex.split(example)[:-1])
    dockerfile = "FROM debian:12\nRUN apt-get update && pip install flask\n"
    output = text_feed.render("some/Dockerfile", dockerfile, cleanroom.check(dockerfile), text_feed.Look(width=80))
    assert len(re.findall(linter["cli_lint_errors_regex"], output, re.MULTILINE)) == 2
    (install,) = linter["install"]["dockerfile"]
    assert install.startswith("RUN ")  # MegaLinter installs plugins by nothing else
    assert not cleanroom.check(f"FROM alpine\n{install}\n").findings


def test_the_gitlab_template_runs_a_command_and_declares_its_inputs() -> None:
    text = (ROOT / "templates" / "cleanroom.yml").read_text()
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(HEADER["spec"]["inputs"])
    job = JOBS["cleanroom"]
    words = shlex.split(with_inputs(job["script"][0]))
    assert_runs(words)
    report = job["artifacts"]["reports"]["codequality"]
    assert f"gitlab:{report}" in words
    assert "gitlab" in FORMATS
    assert with_inputs(job["before_script"][0]).endswith('"cleanroom-recipes"')


def test_the_dockerfile_passes_its_own_check() -> None:
    text = (ROOT / "Dockerfile").read_text()
    report = cleanroom.check(text)
    assert not report.findings
    assert not report.errors
    assert cleanroom.check(text.replace(" --no-cache-dir", "").replace("FROM python:3.13-slim\nCOPY", "COPY")).findings


def test_the_docs_show_what_there_is() -> None:
    text = (ROOT / "docs" / "use" / "integrations.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (hook,) = blocks[0]["repos"][0]["hooks"]
    assert_runs([*shlex.split(HOOKS[hook["id"]]["entry"]), *hook["args"]])
    given = blocks[1]["jobs"]["check"]["steps"][-1]["with"]
    assert set(given) <= set(ACTION["inputs"])
    assert set(blocks[2]["include"][0]["inputs"]) <= set(HEADER["spec"]["inputs"])
    assert set(re.findall(r"^\| `([\w-]+)`", text, re.MULTILINE)) == set(ACTION["inputs"])
