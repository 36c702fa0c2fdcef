"""Edits of recipes and of their records that nothing was measured for: each is noticed without a build."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cleanroom.proofs.consistency import problems, unread
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.load import RECIPES, parse_recipe
from cleanroom.recipes.sources import shipped

Edit = Callable[[dict[str, Any]], object]
PROOF = "without-docker-clean"


def found(recipe: str, record: str) -> list[str]:
    known = parse_recipe(recipe, str(RECIPES / "x.yaml"))
    library = Library([shipped()], [known])
    parsed = measurements.parse(record)
    changed = measurements.stale(known, parsed)
    return [*unread(known, library), *changed, *problems(known, parsed, library)]


def texts(manager: str) -> tuple[str, str]:
    record = Path(RECIPES, f"proofs/{manager}.json").read_text("utf-8")
    return (RECIPES / f"{manager}.yaml").read_text("utf-8"), record


def resealed(record: dict[str, Any]) -> str:
    """Return a record whose figures were changed by someone who also made new seals."""
    for proof in record["proofs"]:
        proof.pop("seal", None)
    return measurements.document(measurements.parse(json.dumps(record)))


def proof(record: dict[str, Any]) -> dict[str, Any]:
    (item,) = (item for item in record["proofs"] if item["proof"] == "debian:12-slim")
    assert isinstance(item, dict)
    return item


def remedy(record: dict[str, Any]) -> dict[str, Any]:
    item = proof(record)["remedies"][0]
    assert isinstance(item, dict)
    return item


def grow(mapping: dict[str, Any], name: str) -> None:
    mapping[name] *= 100


def test_what_ships_is_consistent() -> None:
    for manager in ("apt", "npm", "pip"):
        assert found(*texts(manager)) == []


EDITS: dict[str, Edit] = {
    "left beside proved": lambda record: remedy(record)["left"].update(cache=2_000_000),
    "bytes without": lambda record: grow(proof(record)["without"]["caches"]["cache"], "bytes"),
    "fewer bytes": lambda record: proof(record)["without"]["caches"]["cache"].update(bytes=0),
    "layer without": lambda record: grow(proof(record)["without"], "layer"),
    "smaller than its cache": lambda record: proof(record)["without"].update(layer=1000, compressed=900),
    "compressed": lambda record: grow(proof(record)["without"], "compressed"),
    "late": lambda record: grow(proof(record)["late"], "layer"),
    "smaller when late": lambda record: proof(record)["late"].update(layer=5_000, compressed=900),
    "compressed when late": lambda record: grow(proof(record)["late"], "compressed"),
    "layer with": lambda record: grow(remedy(record), "layer"),
    "compressed with": lambda record: grow(remedy(record), "compressed"),
    "unknown cache": lambda record: proof(record)["without"]["caches"].update(other={"bytes": 1}),
    "unknown cache left": lambda record: remedy(record)["left"].update(other=0),
    "nothing said of what is left": lambda record: remedy(record).pop("left"),
    "verdict": lambda record: remedy(record).update(verdict="failed"),
    "void": lambda record: remedy(record).update(verdict="void", reason="nothing there"),
    "reason": lambda record: remedy(record).update(reason="so"),
    "another remedy": lambda record: remedy(record).update(remedy="rm -rf /"),
    "another kind": lambda record: remedy(record).update(kind="mount"),
    "another fingerprint": lambda record: remedy(record).update(fingerprint="0" * 12),
    "remedy deleted": lambda record: proof(record)["remedies"].pop(0),
    "remedy twice": lambda record: proof(record)["remedies"].append(remedy(record)),
    "hazard deleted": lambda record: proof(record)["hazards"].pop(),
    "hazard renamed": lambda record: proof(record)["hazards"][0].update(hazard="other"),
    "exit": lambda record: proof(record)["hazards"][0].update(exit=2),
    "case": lambda record: proof(record)["cases"][0].update(held={}),
    "case deleted": lambda record: proof(record)["cases"].pop(0),
    "proof deleted": lambda record: record["proofs"].remove(proof(record)),
    "proof renamed": lambda record: proof(record).update(proof="other"),
    "proof's fingerprint": lambda record: proof(record).update(fingerprint="0" * 12),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_of_a_record_is_noticed(edit: Edit) -> None:
    recipe, record = texts("npm")
    data = json.loads(record)
    edit(data)
    assert found(recipe, resealed(data))


@pytest.mark.parametrize("name", ["date", "digest", "engine", "platform", "version", "base"])
def test_what_no_figure_contradicts_is_sealed(name: str) -> None:
    recipe, record = texts("npm")
    data = json.loads(record)
    proof(data)[name] = f"{proof(data)[name]}1"
    (problem,) = found(recipe, json.dumps(data))
    assert "are not those that were written" in problem


RECIPE_EDITS: dict[str, tuple[str, str, str]] = {  # manager, what is replaced, by what
    "paths": ("npm", "path: ~/.npm/_cacache", "path: ~/.npm/cacache"),
    "filled by": ("npm", "- verbs: [install,", "- verbs: [installs,"),
    "empties": ("npm", "empties: [cache]", "empties: [logs]"),
    "remedy": ("npm", "run: rm -rf ~/.npm\n", "run: rm -rf ~/.npm ~/.node-gyp\n"),
    "no remedy": ("npm", "  - kind: mount\n    caches: [cache, logs, notifier]\n    targets: [~/.npm]\n", ""),
    "new remedy": ("npm", "remedies:\n", "remedies:\n  - kind: clean\n    caches: [cache]\n    run: rm -rf ~/.npm/*\n"),
    "useless first": (
        "npm",
        "remedies:\n",
        "remedies:\n  - kind: clean\n    caches: [cache]\n    run: npm cache verify\n",
    ),
    "install": ("npm", "npm install express lodash", "npm install express"),
    "works": ("npm", "works: cd /app && node", "works: cd /app; node"),
    "may differ": ("npm", "path: /tmp/node-compile-cache\n", "path: /tmp/*\n"),
    "trial": ("npm", "run: npm cache verify", "run: npm cache verify x"),
    "trial's exit": ("npm", "exit: 1", "exit: 3"),
    "no trial": ("npm", "      - hazard: verify-frees-nothing\n        run: npm cache verify\n", ""),
    "effect": ("npm", "effect: nothing", "effect: refills"),
    "prevention": ("pip", "option: --no-cache-dir\n    verbs", "option: --no-cache\n    verbs"),
    "value": ("pip", 'value: "1"', 'value: "2"'),
    "typical": ("corepack", "bytes: 1054524", "bytes: 105452"),
    "versions": ("pip", 'fails where the cache is disabled\n    versions: ">=20.3"', 'x\n    versions: ">=99"'),
    "base": ("npm", "- base: debian:12-slim", "- base: debian:11-slim"),
    "pending": ("go", "    pending: the image golang, of Docker Hub\n", ""),
    "unproved": ("r", "    unproved: Debian has no package of the R package that fills it\n", ""),
}


@pytest.mark.parametrize("edit", RECIPE_EDITS.values(), ids=RECIPE_EDITS.keys())
def test_an_edit_of_a_recipe_is_noticed(edit: tuple[str, str, str]) -> None:
    manager, before, after = edit
    recipe, record = texts(manager)
    assert before in recipe
    assert found(recipe.replace(before, after), record)


@pytest.mark.parametrize(
    ("manager", "before", "after"),
    [
        ("uv", "install: uv pip install -p", "install: UV_LINK_MODE=symlink uv pip install -p"),
        ("pnpm", "verbs: [add, install, i]\n        with_options: [-g, --global]\n", "verbs: [add, install, i]\n"),
    ],
)
def test_a_remedy_that_takes_what_was_installed_is_refused(manager: str, before: str, after: str) -> None:
    recipe, _ = texts(manager)
    assert before in recipe
    changed = parse_recipe(recipe.replace(before, after), str(RECIPES / "x.yaml"))
    assert any("it takes what" in problem for problem in unread(changed, Library([shipped()], [changed])))
