"""Which rules of other linters say the same: ``cases/library/peers.yaml`` lists them, and the recipes agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cleanroom.registries import library
from tests.support import case_file

LIST: dict[str, dict[str, list[str]]] = case_file("library/peers.yaml")
BY_WAY_OF = {"microdnf": "dnf", "pnpm": "npm"}  # whose rules also find it, as its row says in words
RULE = r"DL3[0-9]{3}|DS-[0-9]{4}|DKL-DI-[0-9]{4}|\bS6[0-9]{3}|\bDF[0-9]{3}|\bDD[0-9]{3}|\bER[0-9]{4}|\b[0-9a-f]{8}\b"


def test_recipes_say_what_the_list_says() -> None:
    recipes = {recipe.id: recipe for recipe in library().recipes()}
    said = {name: {peer: list(ids) for peer, ids in recipe.peers.items()} for name, recipe in recipes.items()}
    assert {name: peers for name, peers in said.items() if peers} == LIST


@pytest.mark.shared
def test_the_list_is_what_was_surveyed(shared: Path) -> None:
    """Every rule of the list stands in the manager's row, and every rule that the row names is in the list."""
    text = (shared / "facts" / "peers.md").read_text("utf-8")
    section = text.partition("## 1. Crosswalk")[2].partition("\n## 2.")[0]
    rows = {line.split("|")[1].strip(): line for line in section.splitlines() if line.startswith("| ")}
    several = {"bun": "bun, uv", "uv": "bun, uv"}
    several |= dict.fromkeys(("cargo", "go", "dotnet", "composer"), "cargo, go, dotnet/nuget, composer")
    for name, peers in LIST.items():
        row = rows[several.get(name, "apt-get" if name == "apt" else name)]
        for identifier in (identifier for ids in peers.values() for identifier in ids):
            short = "PCM" if identifier == "prefer-package-cache-mounts" else identifier
            short = short[:8] if re.fullmatch(r"[0-9a-f-]{36}", short) else short
            assert short in row or short in rows[BY_WAY_OF.get(name, name)], f"{name}: {identifier}"
        listed = " ".join(identifier for ids in peers.values() for identifier in ids)
        for found in re.findall(RULE, row):
            assert found in listed or f"{found} is other" in row, f"{name}: {found} is not in the list"
