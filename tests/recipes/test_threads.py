"""What people reported is represented, or there is a reason why not: ``cases/library/threads.yaml``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cleanroom.recipes.load import RECIPES
from cleanroom.registries import library
from tests.support import ROOT, case_file

THREADS = case_file("library/threads.yaml")


def test_each_is_represented_or_refused() -> None:
    recipes = {recipe.id: recipe for recipe in library().recipes()}
    for item in THREADS:
        assert ("by" in item) != ("refused" in item), item["fact"]
        by = item.get("by", "")
        file, _, name = by.partition(": ")
        identifier, _, hazard = by.partition("/")
        if file.endswith(".yaml"):
            cases = case_file(file)
            assert any(case["name"].startswith(name) for case in cases), by
        elif identifier in recipes:
            assert not hazard or hazard in {each.id for each in recipes[identifier].hazards}, by
        elif by:
            assert (ROOT / by).exists(), by


@pytest.mark.shared
def test_every_thread_that_was_gathered_is_listed(shared: Path) -> None:
    text = (shared / "facts" / "papers.md").read_text("utf-8")
    section = text.partition("\n## 5. ")[2].partition("\n## 6. ")[0]
    gathered = {(name.rpartition("/")[2], number) for name, number in re.findall(r"([\w./-]*[\w-])#(\d+)", section)}
    listed = {tuple(thread.rpartition("/")[2].split("#")) for item in THREADS for thread in item["threads"]}
    sources = "".join(path.read_text("utf-8") for path in RECIPES.glob("*.yaml"))
    listed |= set(re.findall(r"https://github\.com/[\w.-]+/([\w.-]+)/(?:issues|pull)/(\d+)", sources))
    short = {"frolvlad": "docker-alpine-glibc", "gitpod": "workspace-images", "Exegol": "Exegol-images"}
    short |= {"unsloth": "unsloth", "Budibase": "budibase"}
    assert {(short.get(name, name), number) for name, number in gathered} - listed == set()
