"""The exported rules, run by the linters they are for; what each finds in a folder of Dockerfiles.

A finding is (file name, line of the RUN, cache id); Checkov names one RUN a file, so its line is 0.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from cleanroom.api import check
from cleanroom.recipes import rule_ids
from cleanroom.registries import EXPORTS, library

Found = set[tuple[str, int, str]]
LEFT = ("left-behind", "cleaned-late", "cleaned-early")


def export(name: str, folder: Path) -> Path:
    for path, text in EXPORTS[name].render(library()).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def ours(folder: Path) -> Found:
    """Return what cleanroom itself finds, of what the exports look for at all."""
    from cleanroom.formats.recipes.matching import matches

    known = {match.id for match in matches(library().recipes())}
    return {
        (file.name, finding.instruction_line, f"{finding.manager}.{finding.cache}")
        for file in folder.iterdir()
        for finding in check(file.read_text("utf-8", "replace")).findings
        if finding.rule in LEFT and f"{finding.manager}.{finding.cache}" in known
    }


def run(tool: str, folder: Path, rules: Path, *options: str) -> str:
    """Write the exported rules to ``rules``; return what the tool prints about ``folder`` with them."""
    export({"trivy": "rego"}.get(tool, tool), rules)
    commands = {
        "semgrep": "scan --metrics=off --disable-version-check --no-git-ignore --jobs=2 "
        f"--config {rules}/cleanroom.yaml",
        "checkov": f"--framework dockerfile --external-checks-dir {rules} --compact --quiet --skip-download -d",
        "trivy": "config --skip-check-update --skip-version-check --disable-telemetry --quiet "
        f"--config-check {rules} --config-data {rules} --check-namespaces user",
    }
    # Checkov and Semgrep say by their exit codes whether they found something.
    done = subprocess.run(
        [tool, *commands[tool].split(), str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SEMGREP_ENABLE_VERSION_CHECK": "0"},
    )
    return done.stdout


def semgrep_fixed(folder: Path, rules: Path) -> None:
    """Have Semgrep write the fixes of the exported rules into the files of ``folder``."""
    run("semgrep", folder, rules, "--autofix")


def semgrep(folder: Path, rules: Path) -> Found:
    report = json.loads(run("semgrep", folder, rules, "--json"))
    errors = [error for error in report["errors"] if error.get("level") == "error"]
    assert not errors, errors[:3]
    return {
        (Path(result["path"]).name, result["start"]["line"], _cache(result["check_id"].rpartition(".")[2]))
        for result in report["results"]
    }


def _cache(rule: str) -> str:
    return ".".join(rule_ids.caches(library())[rule])


def checkov(folder: Path, rules: Path) -> Found:
    report = json.loads(run("checkov", folder, rules, "--check", "CLEANROOM*", "-o", "json"))
    if isinstance(report, dict) and "results" not in report:  # no failed check at all
        return set()
    return {
        (Path(record["file_path"]).name, 0, _cache(record["check_id"])) for record in report["results"]["failed_checks"]
    }


def rego(folder: Path, rules: Path) -> Found:
    """Evaluate the policy on each file as conftest would give it; BuildKit's parser makes that of it."""
    import dockerfile
    import regopy

    export("rego", rules)
    found: Found = set()
    interpreter = regopy.Interpreter()
    interpreter.add_module("cleanroom", (rules / "cleanroom.rego").read_text("utf-8"))
    interpreter.add_data_json((rules / "data.json").read_text("utf-8"))
    for file in folder.iterdir():
        try:
            parsed = dockerfile.parse_file(str(file))
        except dockerfile.GoParseError:
            continue
        instructions, stage = [], -1
        for command in parsed:
            stage += command.cmd.lower() == "from"
            value = (
                [f"{a}={b}" for a, b in zip(command.value[::3], command.value[1::3], strict=False)]
                if (command.cmd.lower() == "env")
                else list(command.value)
            )
            instructions.append(
                {"Cmd": command.cmd.lower(), "Flags": list(command.flags), "Value": value, "Stage": max(stage, 0)}
            )
        interpreter.set_input(instructions)
        output = interpreter.query("data.user.cleanroom.deny")
        for problem in json.loads(str(output))["expressions"][0]:
            found.add((file.name, parsed[problem["index"]].start_line, problem["cache"]))
    return found


def trivy(folder: Path, rules: Path) -> Found:
    """Run the same policy in Trivy, as a custom check."""
    report = json.loads(run("trivy", folder, rules, "--format", "json"))
    return {
        (Path(result["Target"]).name, row["CauseMetadata"]["StartLine"], re.findall(r"\[(.*?)\]", row["Message"])[-1])
        for result in report.get("Results", ())
        for row in result.get("Misconfigurations", ())
        if row["ID"] == "CLEANROOM"
    }


TOOLS: dict[str, Callable[[Path, Path], Found]] = {
    "semgrep": semgrep,
    "rego": rego,
    "trivy": trivy,
    "checkov": checkov,
}


def is_there(tool: str) -> bool:
    if tool == "rego":
        from importlib.util import find_spec

        return find_spec("regopy") is not None and find_spec("dockerfile") is not None
    return shutil.which(tool) is not None


def compare(tool: str, folder: Path, rules: Path) -> tuple[int, int, int]:
    """Return how many findings are ours, how many of them the tool has too, how many it has that are not ours."""
    mine, theirs = ours(folder), TOOLS[tool](folder, rules)
    if tool == "checkov":
        mine = {(file, 0, cache) for file, _, cache in mine}
    return len(mine), len(mine & theirs), len(theirs - mine)


def lay_out(texts: dict[str, str], folder: Path) -> Path:
    """Write Dockerfiles so that every tool knows them by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{re.sub(r'[^A-Za-z0-9_+-]', '_', name)}.Dockerfile").write_text(text, "utf-8")
    return folder
