"""The work of a survey: a table of Dockerfiles in, tables of files, installs and findings out. Pure, safe anywhere.

It is one call over a batch, so that a process pool, Dask, Spark's ``mapInArrow`` or Ray's ``map_batches`` can make it.
"""

from __future__ import annotations

import hashlib

import pyarrow as pa
from msgspec import Struct

from cleanroom.engine.events import Clean, Remove
from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.engine.settle import empties
from cleanroom.lint.check import Options, read, run_rules, with_fix
from cleanroom.lint.findings import Finding, Problem
from cleanroom.recipes.library import Library
from cleanroom.registries import RULES
from cleanroom.registries import library as load

FILES = pa.schema(
    [
        pa.field("content", pa.string(), nullable=False),  # SHA-256 of the bytes, in hexadecimal
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("lines", pa.int32(), nullable=False),
        pa.field("state", pa.string(), nullable=False),  # read, or why not: STATES
        pa.field("problem", pa.string()),  # what is wrong, in words
        pa.field("line", pa.int32()),  # where
        pa.field("stages", pa.int32()),
        pa.field("runs", pa.int32()),  # RUN instructions
        pa.field("base", pa.string()),  # the image under the last stage; null when it is not known
        pa.field("unresolved", pa.int32()),  # places where something could not be known
    ]
)
STATES = {
    "read": "its build steps were followed",
    "not text": "its bytes are not UTF-8",
    "not a Dockerfile": "BuildKit would refuse it too, or it is larger than any that people write",
    "fault": "a fault of cleanroom's own; the file is worth a report",
    "set aside": "a worker process died on it, twice",
}
INSTALLS = pa.schema(
    [
        pa.field("content", pa.string(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),  # of the command
        pa.field("column", pa.int32(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),  # its name, else its number
        pa.field("ships", pa.bool_(), nullable=False),  # the stage does, or what is copied from it holds the cache
        pa.field("base", pa.string()),
        pa.field("manager", pa.string(), nullable=False),
        pa.field("cache", pa.string(), nullable=False),
        pa.field("verb", pa.string(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),  # OUTCOMES
        pa.field("how", pa.string()),  # by what it is clean, prevented or mounted, or what fails to clean it
        pa.field("typical_bytes", pa.int64()),  # of the recipe: an idea, not a measurement of this file
    ]
)
OUTCOMES = {
    "left": "left in the layer",
    "late": "emptied in a later layer: left",
    "early": "emptied before the last fill: left",
    "clean": "emptied in the same layer",
    "prevented": "told not to keep it",
    "mounted": "in a cache or tmpfs mount",
    "there": "nothing new: an earlier layer holds it all",
    "used": "read by what the container starts",
    "unknown": "not to be known from the file",
}
FINDINGS = pa.schema(
    [
        pa.field("content", pa.string(), nullable=False),
        pa.field("line", pa.int32(), nullable=False),
        pa.field("column", pa.int32(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("manager", pa.string(), nullable=False),
        pa.field("cache", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("fix", pa.string()),  # safe, unsafe; null when there is none
        pa.field("remedy", pa.string()),  # the first that the recipe advises here
        pa.field("typical_bytes", pa.int64()),
    ]
)


class Examined(Struct, frozen=True):
    """What a batch of Dockerfiles gave; rows in the order of the batch. Content is given by its hash."""

    files: pa.Table
    installs: pa.Table
    findings: pa.Table


def content_hash(data: bytes) -> str:
    """Return by which name a content goes in all tables: its SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def examine(batch: pa.Table | pa.RecordBatch, column: str = "content", recipes: tuple[str, ...] = ()) -> Examined:
    """Follow the Dockerfiles in ``column`` (text or bytes; null counts as empty). Nothing is raised for any content.

    ``recipes`` are folders of recipes to know besides; with bad ones, RecipeError is raised.
    """
    library = load(*recipes)
    files: list[dict[str, object]] = []
    installs: list[dict[str, object]] = []
    findings: list[dict[str, object]] = []
    for value in batch.column(column).to_pylist():
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value or b""
        own_installs: list[dict[str, object]] = []
        own_findings: list[dict[str, object]] = []
        try:
            files.append(_examine(data, library, own_installs, own_findings))
        except Exception as error:  # the others are still worth knowing
            files.append(unread(data, "fault", f"{type(error).__name__}: {error}"))
            continue
        installs += own_installs
        findings += own_findings
    return Examined(
        pa.Table.from_pylist(files, FILES),
        pa.Table.from_pylist(installs, INSTALLS),
        pa.Table.from_pylist(findings, FINDINGS),
    )


def unread(data: bytes, state: str, problem: str, line: int | None = None) -> dict[str, object]:
    """Return the row of ``files`` for content that was not followed."""
    return {
        "content": content_hash(data),
        "bytes": len(data),
        "lines": data.count(b"\n"),
        "state": state,
        "problem": problem,
        "line": line,
    }


def _examine(
    data: bytes, library: Library, installs: list[dict[str, object]], findings: list[dict[str, object]]
) -> dict[str, object]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return unread(data, "not text", error.reason, data.count(b"\n", 0, error.start) + 1)
    ledger = read(text, Options(library))
    if isinstance(ledger, Problem):
        return unread(data, "not a Dockerfile", ledger.message, ledger.line)
    row = unread(data, "read", "")
    content = row["content"]
    installs += [
        {"content": content, **_install(ledger, outcome)} for outcome in ledger.outcomes if not outcome.fill.cache.minor
    ]
    found, _ = run_rules(ledger, RULES, Options(library))
    findings += [{"content": content, **_finding(with_fix(ledger, finding))} for finding in found]
    return row | {
        "problem": None,
        "stages": len(ledger.stages),
        "runs": sum(len(stage.layers) for stage in ledger.stages),
        "base": ledger.stages[-1].base.images[0] or None if ledger.stages else None,
        "unresolved": len(ledger.unresolved),
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "line": finding.line,
        "column": finding.column,
        "rule": finding.rule,
        "manager": finding.manager,
        "cache": finding.cache,
        "severity": finding.severity,
        "message": finding.message,
        "fix": None if finding.fix is None else ("safe" if finding.fix.safe else "unsafe"),
        "remedy": finding.remedies[0].text if finding.remedies else None,
        "typical_bytes": finding.typical_bytes,
    }


def _install(ledger: Ledger, outcome: Outcome) -> dict[str, object]:
    fill, layer = outcome.fill, outcome.layer
    line, column = ledger.source.position(fill.span.start)
    stage = ledger.stages[layer.stage]
    state, how = outcome.state.value, None
    if outcome.state is Status.LEFT:
        if outcome.late is not None:
            state, how = "late", _command(ledger, outcome.late[1])
        elif outcome.early is not None:
            state, how = "early", _command(ledger, outcome.early)
        elif outcome.missed is not None:
            how = _command(ledger, outcome.missed)
    elif outcome.state is Status.CLEAN:
        behind = (event for event in layer.events if event.order > fill.order)
        how = next((_command(ledger, event) for event in behind if _is_clean_up(event) and empties(event, fill)), None)
    elif outcome.state is Status.PREVENTED:
        how = fill.prevented
    elif outcome.state is Status.MOUNTED:
        how = outcome.mount.kind if outcome.mount else None
    return {
        "line": line,
        "column": column,
        "stage": stage.name,
        "ships": stage.ships or outcome.copied_by is not None,
        "base": layer.base.images[0] or None,
        "manager": fill.recipe.id,
        "cache": fill.cache.id,
        "verb": fill.verb,
        "outcome": state,
        "how": how,
        "typical_bytes": fill.cache.typical.bytes if fill.cache.typical else None,
    }


def _is_clean_up(event: object) -> bool:
    return isinstance(event, (Clean, Remove))


def _command(ledger: Ledger, event: object) -> str | None:
    """Return the text of a clean-up command, in one line."""
    if not isinstance(event, (Clean, Remove)):
        return None
    text = ledger.dockerfile.text[event.span.start : event.span.end]
    return " ".join(text.replace("\\\n", " ").split())[:200]
