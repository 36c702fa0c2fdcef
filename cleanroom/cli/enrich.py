"""``cleanroom enrich``: what cleanroom knows about the findings of another linter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cleanroom.cli import lookup, recipes_option, verbose_option
from cleanroom.cli.options import format_option
from cleanroom.formats.values import printable
from cleanroom.lint.findings import SEVERITIES, Checked, Finding, Report
from cleanroom.project import discover, reading
from cleanroom.project.exits import ERROR, FINDINGS
from cleanroom.project.files import script_reader
from cleanroom.project.jobs import note
from cleanroom.registries import FORMATS, RULES

if TYPE_CHECKING:
    from cleanroom.lint.linters.enrich import Enriched
    from cleanroom.lint.linters.reports import Reported

_STDIN = ("-", "/dev/stdin", "<stdin>")  # as linters call what they read from there


@click.command()
@click.argument("report", default="-", metavar="[REPORT]")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@format_option("{}; all but text and json hold cleanroom's findings alone.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="warning",
    show_default=True,
    help="The severity of cleanroom's findings from which on to exit 1.",
)
@click.option("--trust", is_flag=True, help="Read files also outside of this repository, and however large.")
@recipes_option
@verbose_option
def command(report: str, paths: tuple[str, ...], form: str, fail_on: str, trust: bool) -> int:
    """Add to a REPORT of another linter (JSON of hadolint, tally, Semgrep, Checkov, KICS, Trivy; SARIF) what to do.

    \b
    hadolint --format json Dockerfile | cleanroom enrich

    Reads the Dockerfiles that the report names, and those at PATH too, since a report names no file without findings.
    For each finding about what package managers leave behind: the command that mends it, or why it is none; then what
    the linter missed. Exits 0 when cleanroom finds nothing, 1 when it does, 2 when something could not be read.
    """  # noqa: D301 - the character itself, for click
    from cleanroom.lint.linters.enrich import enrich
    from cleanroom.lint.linters.reports import ReportError, parse

    try:
        reported = parse(discover.read(report))
    except (discover.ReadError, ReportError) as error:
        raise click.ClickException(f"{'standard input' if report == '-' else report}: {error}") from None
    library = lookup.library()
    done: list[Enriched] = []
    files, notes = _by_file(reported, paths)
    has_errors = bool(notes)
    root = reading.root_of(os.curdir)  # a report may be a stranger's, and name any file
    for line in notes:
        note(line)
    for path, items in files.items():
        try:
            text = reading.read(path, None if trust else root)
        except reading.ReadError as error:
            has_errors = True
            note(f"{path}: error: {error}")
            continue
        context = str(Path(path).parent)
        one = enrich(path, text, items, library, RULES, script_reader(context))
        for problem in one.report.errors:
            has_errors = True
            note(f"{path}:{problem.line}:{problem.column}: error: {problem.message}")
        done.append(one)
    for piece in _render(done, form):
        click.echo(piece, nl=False)
    if has_errors:
        return ERROR
    failing = SEVERITIES[SEVERITIES.index(fail_on) :]
    return FINDINGS if any(finding.severity in failing for one in done for finding in _ours(one)) else 0


def _by_file(reported: list[Reported], paths: tuple[str, ...]) -> tuple[dict[str, list[Reported]], list[str]]:
    """Return the findings for each Dockerfile, by its path as shown, and notes about files that cannot be read."""
    files: dict[str, list[Reported]] = {}
    shown: dict[str, str] = {}  # by real path
    notes = []
    found = [discover.discover(path, _excludes_nothing) for path in paths]
    given = [file for names, _ in found for file in names]
    notes += [f"{trouble.path}: error: {trouble.message}" for _, troubles in found for trouble in troubles]
    for item in reported:
        path = item.path
        if path in _STDIN:
            if len(given) != 1:
                notes.append(
                    f"error: {item.linter} read line {item.line} from its standard input; "
                    "name that file: cleanroom enrich REPORT DOCKERFILE"
                )
                continue
            path = given[0]
        if discover.is_dockerfile(Path(path).name) or item.linter in ("hadolint", "tally"):
            path = shown.setdefault(os.path.realpath(path), _short(path))
            files.setdefault(path, []).append(item)
    for path in given:
        files.setdefault(shown.setdefault(os.path.realpath(path), path), [])
    return files, list(dict.fromkeys(notes))


def _excludes_nothing(_path: str, _is_folder: bool) -> bool:
    return False


def _short(path: str) -> str:
    """Return a path relative to the current folder where it lies in it."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _ours(one: Enriched) -> Iterator[Finding]:
    """Yield the confirmed and the missed findings, in the order of their place."""
    kept = {id(finding) for item in one.judged for finding in item.findings} | {id(finding) for finding in one.missed}
    return (finding for finding in one.report.findings if id(finding) in kept)


def _render(done: list[Enriched], form: str) -> Iterator[str]:
    if form == "text":
        yield from _text(done)
    elif form == "json":
        yield json.dumps(_document(done), indent=1) + "\n"
    else:
        yield from FORMATS[form].render(
            Checked(one.path.replace("\\", "/"), one.text, Report(tuple(_ours(one)), errors=one.report.errors))
            for one in done
        )


def _document(done: list[Enriched]) -> dict[str, object]:
    from cleanroom.formats.findings.json import error_row, finding_row
    from cleanroom.syntax.text import Source
    from cleanroom.version import __version__

    def plain(one: Enriched, found: tuple[Finding, ...]) -> list[dict[str, object]]:
        source = Source(one.text)
        return [finding_row(one.path, source, finding) for finding in found]

    return {
        "schema": "cleanroom/enriched/1",
        "version": __version__,
        "findings": [
            {
                "linter": item.reported.linter,
                "rule": item.reported.rule,
                "file": one.path,
                "line": item.reported.line,
                "message": item.reported.message,
                "verdict": item.verdict,
                "reason": item.reason,
                "managers": list(item.managers),
                "ours": item.is_ours,
                "cleanroom": plain(one, item.findings),
            }
            for one in done
            for item in one.judged
        ],
        "missed": [row for one in done for row in plain(one, one.missed)],
        "errors": [error_row(one.path, problem) for one in done for problem in one.report.errors],
    }


def _text(done: list[Enriched]) -> Iterator[str]:
    counts = dict.fromkeys(("confirmed", "wrong", "optional", "unknown", "other", "missed"), 0)
    own = 0
    for one in done:
        for item in one.judged:
            counts[item.verdict] += 1
            own += item.is_ours
            if item.verdict == "other":
                continue
            verdict = f"{item.verdict}, by cleanroom's own rule" if item.is_ours else item.verdict
            yield printable(f"{one.path}:{item.reported.line}  {item.reported.rule}  {verdict}") + "\n"
            if item.reason:
                yield f"     {printable(item.reason)}\n"
            for finding in item.findings:
                yield from _advice(finding)
        for finding in one.missed:
            counts["missed"] += 1
            yield printable(f"{one.path}:{finding.line}  {finding.label}  missed") + "\n"
            yield from _advice(finding)
    rest = f"; {own} by cleanroom's own rules" if own else ""
    yield ", ".join(f"{count} {name}" for name, count in counts.items()) + f"{rest}\n"


def _advice(finding: Finding) -> Iterator[str]:
    yield f"     {printable(finding.message)}\n"
    if finding.remedies:
        yield f"     = {finding.remedies[0].kind}: {printable(finding.remedies[0].text)}\n"
    if finding.fix is not None:
        yield f"     = fix: {printable(finding.fix.title)}\n"
    elif finding.no_fix:
        yield f"     = no fix: {printable(finding.no_fix)}\n"
