"""A release: the workflow that makes it, and its wheel on each Python that is here."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cleanroom.version import __version__
from tests.support import ROOT, parse_yaml

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
WORKFLOW = ROOT / ".github" / "workflows" / "release.yml"


@pytest.mark.skipif(not WORKFLOW.exists(), reason="an sdist has no workflows")
def test_workflow() -> None:
    jobs = parse_yaml(WORKFLOW.read_text("utf-8"))["jobs"]
    assert [(name, job.get("needs")) for name, job in jobs.items()] == [
        *(("build", None), ("try", "build"), ("publish", "try"))
    ]
    assert tuple(jobs["try"]["strategy"]["matrix"]["python"]) == VERSIONS
    steps = [step.get("uses", step.get("run", "")).partition("@")[0] for step in jobs["build"]["steps"]]
    order = ["python -m build", "twine check --strict dist/*", "actions/attest-build-provenance"]
    assert [step for step in steps if step in order] == order
    assert jobs["publish"]["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert re.search(rf'^__version__ = "{re.escape(__version__)}"$', (ROOT / "cleanroom/version.py").read_text(), re.M)


def pythons() -> list[str]:
    """Return each Python of those versions that is here and starts."""
    found = [sys.executable]
    for version in VERSIONS:
        path = shutil.which(f"python{version}")
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        if (
            path
            and version != here
            and not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode
        ):
            found.append(path)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("python", pythons())
def test_wheel(python: str, dist: Path, tmp_path: Path) -> None:
    def run(*command: str, given: str = "") -> str:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=tmp_path, env={})
        assert done.returncode == 0, done.stderr
        return done.stdout

    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    pip = [str(tmp_path / "venv/bin/pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, str(next(dist.glob("*.whl")))], check=True, capture_output=True)
    program = str(tmp_path / "venv/bin/cleanroom")
    assert run(program, "--version") == f"{__version__}\n"
    fixed = run(program, "fix", "-q", "-", given="FROM python:3\nRUN apt-get update\nRUN pip install flask\n")
    assert "pip install --no-cache-dir flask" in fixed
    assert run(program, "check", "-q", "-", given=fixed) == ""
    assert run(program, "query", "apt") == "rm -rf /var/lib/apt/lists/*\n"
