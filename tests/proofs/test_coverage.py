"""What is measured is counted from the records, and the pages say what was counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cleanroom.api import library as load
from cleanroom.cli import main
from cleanroom.proofs.coverage import counts, facts
from cleanroom.proofs.fills import landed
from cleanroom.proofs.snapshot import FILE, Node
from cleanroom.recipes.measurements import Held

ROOT = Path(__file__).parents[2]


def test_what_is_measured_of_a_recipe() -> None:
    found = {(fact.kind, fact.text): fact.is_shown for fact in facts(load().find("npm"), load())}
    assert found["remedies", "npm cache clean --force"]
    assert found["hazards", "clean-needs-force"]
    assert found["fills", "install fills cache"]
    assert not found["fills", "ci fills cache"]
    assert [shown for (kind, text), shown in found.items() if kind == "clean-ups" and text.startswith("cache clean ")]


def test_a_recipe_without_a_record_has_nothing_measured() -> None:
    shown = counts(facts(load().find("brew"), load()))
    assert all(count == 0 for count, _ in shown.values())
    assert shown["remedies"][1] > 0


@pytest.mark.parametrize("page", ["README.md", "docs/use/proofs.md"])
def test_pages_say_what_is_measured(page: str) -> None:
    library = load()
    total = counts(fact for recipe in library.recipes() for fact in facts(recipe, library))
    said = re.search(r"(\d+) % of the\s+remedies and (\d+) % of the\s+hazards", (ROOT / page).read_text("utf-8"))
    assert said is not None
    for share, kind in zip(said.groups(), ("remedies", "hazards"), strict=True):
        shown, known = total[kind]
        assert abs(int(share) - 100 * shown / known) < 2, f"{kind}: cleanroom prove --coverage"


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "--coverage", "npm"]) == 0
    said = capsys.readouterr().out
    assert re.match(r"npm: 3 of 3 remedies, 4 of \d+ hazards, ", said)
    assert "  not measured: fills ci fills cache\n" in said
    assert main(["prove", "--coverage", "--format", "json", "npm"]) == 0
    assert '"remedies": [' in capsys.readouterr().out
    assert main(["prove", "npm", "--run", "npm ci"]) == 2
    assert "--run goes with --find-fills" in capsys.readouterr().err


def test_where_files_land() -> None:
    def file(size: int) -> Node:
        return Node(FILE, 0o644, (0, 0), size, str(size))

    base = {"/etc/passwd": file(9), "/usr/lib/old": file(4)}
    shown = {
        **base,
        "/usr/lib/old": file(5),
        "/root/.npm/x/a": file(100),
        "/root/.other/deep/er/and/deeper/b": file(300),
        "/srv/app/c": file(20),
    }
    found = landed(
        "npm ci", base, shown, ["/root/.npm/x"], {"cache": Held(bytes=100), "logs": Held(bytes=1)}, {"cache": "left"}
    )
    assert found.held == {"cache": 100, "logs": 1}
    assert found.unexpected == ("logs",)
    assert found.elsewhere == {"/root/.other/deep/er": 300, "/srv/app": 20, "/usr/lib": 5}
    assert found.suspects == ("/root/.other/deep/er",)
