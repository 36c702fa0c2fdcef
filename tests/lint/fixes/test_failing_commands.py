"""A mended RUN does what it did, also where one of its commands fails: judged by simulated builds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.api import fix
from tests.support import CASE_FILES, parse_yaml
from tests.support.judge import breaks, changed_words, commands_to_fail
from tests.support.programs import World
from tests.support.sandbox import is_possible
from tests.support.simulation import Simulator

CASES = [
    case
    for path in sorted((CASE_FILES / "lint/fixes").glob("*.yaml"))
    for case in parse_yaml(path.read_text("utf-8"))
    if "after" in case
]
TRIALS = 6  # commands that fail, one in each trial

pytestmark = pytest.mark.skipif(not is_possible(), reason="only root can give builds a root folder of their own")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as made:
        yield made


def compare(simulator: Simulator, old: str, new: str) -> list[str]:
    """Return in what two files differ, when nothing fails and when each command does."""
    before = simulator.build(old)
    if before.problem:
        return []
    found = [f"when nothing fails: {each}" for each in breaks(before, simulator.build(new, like=before), old, new)]
    changed = changed_words(old, new)
    for words in commands_to_fail(before, changed)[:TRIALS]:
        world = World(failing=words, ignored=changed)
        one, other = simulator.build(old, world, like=before), simulator.build(new, world, like=before)
        found += [f"when {' '.join(words)} fails: {each}" for each in breaks(one, other, old, new)]
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a; b", "a; b; rm -rf /var/lib/apt/lists/*"),
        ("a && b", "a && b; rm -rf /var/lib/apt/lists/*"),
        ("set -e; a && b", "set -e; a && b; rm -rf /var/lib/apt/lists/*"),
        ("set -e; if true; then a; b; fi", "set -e; if true; then a; b; fi && rm -rf /var/lib/apt/lists/*"),
        ("set -e; f() { a; b; }; f", "set -e; f() { a; b; }; f && rm -rf /var/lib/apt/lists/*"),
        ("a; exit", "a; rm -rf /var/lib/apt/lists/*; exit"),
        ("a; b", "a && b"),
    ],
)
@pytest.mark.parametrize("base", ["debian:12", "fedora:40"], ids=["dash", "bash"])
def test_what_breaks_a_run_shows(simulator: Simulator, before: str, after: str, base: str) -> None:
    assert compare(simulator, f"FROM {base}\nRUN {before}\n", f"FROM {base}\nRUN {after}\n")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(simulator: Simulator, case: dict[str, Any]) -> None:
    options = {key: case[key] for key in ("prefer", "unsafe", "select") if key in case}
    result = fix(case["before"], **options, ignore=() if "select" in case else ["split-installs"])
    assert compare(simulator, case["before"], result.text) == []


# RUNs grown from pieces.

FILLS = ["apt-get update", "apt-get install -y curl", "npm ci", "pip install x", "yum install -y x"]
PLAIN = st.sampled_from(
    [
        *FILLS,
        *("a", "b x", "true", "false", "cd /opt", "export A=1", "v=$(a)", "[ -f /x ]", "! a", "a | b", "a > /tmp/x"),
        *(
            "rm -rf /tmp/x",
            "set -e",
            "set +e",
            "set -eux",
            "exit 0",
            "exit",
            "exit 1",
            "exec a",
            "[ $? = 0 ]",
            "echo $?",
        ),
        *("apt-get update && apt-get install -y curl", "sh -c 'npm ci'", "command -v a", "a || exit 1", "sudo npm ci"),
        *(
            'bash -c "set -e; pip install x; a"',
            "yes | apt-get install -y curl",
            "(apt-get update; a)",
            "f",
            "trap a EXIT",
        ),
    ]
)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        inner.map("( {} )".format),
        inner.map("{{ {}; }}".format),
        st.tuples(inner, inner).map(lambda both: f"if a; then {both[0]}; else {both[1]}; fi"),
        inner.map("if [ -f /x ]; then {}; fi".format),
        inner.map("for i in 1 2; do {}; done".format),
        inner.map("case $X in a) ;; *) {};; esac".format),
        inner.map("f() {{ {}; }}".format),
    )


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joiner = st.sampled_from([" && ", " && ", "; ", "; ", " || "])
    return st.lists(st.tuples(parts, joiner), min_size=1, max_size=4).map(
        lambda items: "".join(part + join for part, join in items[:-1]) + items[-1][0]
    )


LISTS = st.recursive(joined(PLAIN), lambda inner: joined(st.one_of(PLAIN, compound(inner))), max_leaves=5)


@st.composite
def dockerfiles(draw: st.DrawFn) -> str:
    """A Dockerfile with one RUN, laid out in one of the ways people do."""
    script = draw(LISTS)
    shell = draw(st.sampled_from(["", "", 'SHELL ["/bin/bash", "-ec"]\n']))
    form = draw(st.sampled_from(["line", "trailing", "leading", "comments", "document", "document -e"]))
    head = f"FROM node:20\n{shell}"
    if form.startswith("document"):
        body = re.sub(r"; (?!then|else|do|fi|esac|;)", "\n", script) if draw(st.booleans()) else script
        shebang = "#!/bin/bash -e\n" if form.endswith("e") else ""
        return f"{head}RUN <<EOF\n{shebang}{body}\nEOF\n"
    if form == "trailing":
        script = script.replace(" && ", " && \\\n    ").replace("; f", "; \\\n    f")
    elif form == "leading":
        script = script.replace(" && ", " \\\n && ")
    elif form == "comments":
        ending = draw(st.sampled_from(["", " # done", ";", " \\\n"]))
        script = script.replace(" && ", " && \\\n    # why\n\n    ") + ending
    return f"{head}RUN {script}\n"


@settings(derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True)
@given(text=dockerfiles(), prefer=st.sampled_from(["", "clean"]))
def test_runs_grown_from_pieces(simulator: Simulator, text: str, prefer: str) -> None:
    result = fix(text, prefer=prefer)
    assert not result.errors
    assert not result.problems
    again = fix(result.text, prefer=prefer)
    assert again.text == result.text
    assert not again.fixed
    if result.text != text:
        assert compare(simulator, text, result.text) == []
