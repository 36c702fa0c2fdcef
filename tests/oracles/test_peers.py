"""The cases of other linters: our verdict agrees, or a reason says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleanroom.api import check
from tests.support import case_file

REASONS = case_file("oracles/peers.yaml")
MANAGERS = {
    "DL3009": {"apt"},
    "DL3019": {"apk"},
    "DL3032": {"yum"},
    "DL3036": {"zypper"},
    "DL3040": {"dnf", "microdnf"},
    "DL3042": {"pip"},
    "apk_add_using_local_cache_path": {"apk"},
    "apt_get_install_lists_were_not_deleted": {"apt"},
    "missing_dnf_clean_all": {"dnf"},
    "missing_zypper_clean": {"zypper"},
    "pip_install_keeping_cached_packages": {"pip"},
    "yum_clean_all_missing": {"yum"},
    "missing_apk_no_cache": {"apk"},
    "missing_microdnf_clean_all": {"microdnf"},
    "missing-apk-no-cache": {"apk"},
    "missing-dnf-clean-all": {"dnf"},
    "missing-pip-no-cache-dir": {"pip"},
    "missing-yum-clean-all": {"yum"},
    "missing-zypper-clean": {"zypper"},
    "remove-package-cache": {"apt"},
    "remove-package-lists": {"apt"},
}
RULES = {"left-behind", "cleaned-late", "cleaned-early", "cleanup-fails"}


@pytest.mark.shared
def test_peers(shared: Path) -> None:
    disagreements: dict[int, str] = {}
    compared = 0
    for number, line in enumerate((shared / "suites/peers.jsonl").read_text("utf-8").splitlines()):
        row = json.loads(line)
        if row["rule"] not in MANAGERS:
            continue
        text = row["dockerfile"]
        if row.get("onbuild"):
            text = "\n".join(f"ONBUILD {item}" if item.upper().startswith("RUN") else item for item in text.split("\n"))
        report = check(text)
        assert not report.errors, (number, report.errors)
        ours = any(item.manager in MANAGERS[row["rule"]] and item.rule in RULES for item in report.findings)
        theirs = row["expect"] if row["expect"] is not None else bool(row["lines"])
        compared += 1
        if ours != theirs:
            disagreements[number] = f"{row['peer']} {row['rule']}: {theirs}, we: {ours}"
    explained = {number for reason in REASONS for number in reason["rows"]}
    assert compared > 200
    assert {number: text for number, text in disagreements.items() if number not in explained} == {}
    assert explained - disagreements.keys() == set(), "these rows agree now"
