"""A mended RUN does what it did: run before and after, with fakes for all commands, each of which may fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.api import fix
from cleanroom.engine.ledger import Ledger
from cleanroom.lint.check import Options, read
from cleanroom.lint.findings import Fixed
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.registries import library
from tests.support import CASE_FILES, parse_yaml
from tests.support.execution import SHELLS, Sandbox, differences, is_possible, is_runnable

CASES = [
    case
    for path in sorted((CASE_FILES / "lint/fixes").glob("*.yaml"))
    for case in parse_yaml(path.read_text("utf-8"))
    if "after" in case
]

pytestmark = pytest.mark.skipif(not is_possible(), reason="only root can give scripts a root folder of their own")


def added(text: str, result: Fixed) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the words that the fixes add to commands, or take away, and what matches the commands they add."""
    words: set[str] = set()
    lines: set[str] = set()
    for edit in [edit for finding in result.fixed if finding.fix for edit in finding.fix.edits]:
        for command in re.split(r"&&|;|\n", re.sub(r"[\\`]\r?\n", " ", edit.text)):
            command = re.sub(r"\d*>+ *\S+", "", command)  # the shell takes redirects away
            parts = [part.replace("~", "/home", 1) for part in command.split() if part != "sudo"]
            if parts:
                extra = {part for part in parts[1:] if part[0] in "-/"}
                words |= extra | {part for part in parts[:1] if part[0] == "-" or "*" in part or part.count("/") > 1}
                name = parts[0].rpartition("/")[2]
                lines.add(" ".join([name, *(part for part in parts[1:] if part not in extra)]))
        words |= {part for part in text[edit.span.start : edit.span.end].split() if part[0] == "-"}
    return tuple(sorted(words)), re.compile("|".join(map(re.escape, sorted(lines))) or "(?!)")


MENDED = r"cache (?:clean|purge)|autoclean|distclean|/var/lib/dpkg|rm "


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


def changed(before: Ledger, after: Ledger) -> Iterator[tuple[Site, str, str]]:
    """Yield each RUN with another script than before, and both scripts."""
    old = [layer for stage in before.stages for layer in stage.layers]
    new = [layer for stage in after.stages for layer in stage.layers]
    if len(old) != len(new):
        return  # a RUN was dropped or joined to another
    for one, other in zip(old, new, strict=True):
        if len(one.scripts) == len(other.scripts) == 1 and one.scripts[0].text != other.scripts[0].text:
            yield Site(before, one), one.scripts[0].text, other.scripts[0].text


def compare(sandbox: Sandbox, text: str, result: Fixed) -> tuple[int, list[str]]:
    """Return how many RUNs were compared, and in what they differ."""
    options = Options(library())
    before, after = read(text, options), read(result.text, options)
    words, commands = added(text, result)
    assert isinstance(before, Ledger)
    assert isinstance(after, Ledger)
    count = 0
    found: list[str] = []
    for site, old, new in changed(before, after):
        if not is_runnable(old):
            continue
        try:
            argv = site.interpreter()
        except DeclinedError:
            continue
        options = [word for word in argv[1:] if word.startswith("-") or word in ("errexit", "pipefail")]
        if not any(re.fullmatch(r"-\w*c", word) for word in options):
            options.append("-c")
        count += 1
        for shell in SHELLS:
            if shell == "dash" and "pipefail" in options:
                continue
            found += [
                f"line {site.line}, {shell}: {what}"
                for what in differences(sandbox, [shell, *options], old, new, words, commands)
            ]
    return count, found


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
def test_what_breaks_a_run_shows(sandbox: Sandbox, before: str, after: str) -> None:
    for shell in SHELLS:
        assert list(differences(sandbox, [shell, "-c"], before, after, (), re.compile("rm -rf.*")))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(sandbox: Sandbox, case: dict[str, Any]) -> None:
    """But for clean-ups that are mended themselves."""
    options = {key: case[key] for key in ("prefer", "unsafe", "select") if key in case}
    result = fix(case["before"], **options, ignore=() if "select" in case else ["split-installs"])
    _, found = compare(sandbox, case["before"], result)
    kept = [what for what in found if not re.search(MENDED, what)]
    assert kept == []


@pytest.mark.shared
@pytest.mark.parametrize("prefer", ["", "clean"])
def test_real_runs(sandbox: Sandbox, prefer: str, corpus: list[tuple[str, str]]) -> None:
    count = 0
    wrong = []
    for name, text in corpus[::2]:
        result = fix(text, prefer=prefer, ignore=["cleaned-late"])
        if result.text != text:
            runs, found = compare(sandbox, text, result)
            count += runs
            wrong += [f"{name}: {what}" for what in found]
    assert wrong == []
    assert count > 60


# RUNs grown from pieces.

FILLS = ["apt-get update", "apt-get install -y curl", "npm ci", "pip install x", "yum install -y x"]
PLAIN = st.sampled_from(
    [
        *FILLS,
        *("a", "b x", "true", "false", "cd /x", "export A=1", "v=$(a)", "[ -f /x ]", "! a", "a | b", "a > /tmp/x"),
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
        script = script.replace(" && ", " && \\\n    # why\n\n    ") + draw(
            st.sampled_from(["", " # done", ";", " \\\n"])
        )
    return f"{head}RUN {script}\n"


@settings(
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)
@given(text=dockerfiles(), prefer=st.sampled_from(["", "clean"]))
def test_runs_grown_from_pieces(sandbox: Sandbox, text: str, prefer: str) -> None:
    result = fix(text, prefer=prefer)
    assert not result.errors
    assert not result.problems
    again = fix(result.text, prefer=prefer)
    assert again.text == result.text
    assert not again.fixed
    if result.text != text:
        assert compare(sandbox, text, result)[1] == []
