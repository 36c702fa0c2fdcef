"""The audit of an image as findings, for every format that findings have.

They stand in the Dockerfile where one was given. Else they stand in the image's own history, a line for each layer.
"""

from __future__ import annotations

from cleanroom.formats.values import cell, size
from cleanroom.images.audit import Audit, Leftover
from cleanroom.images.causes import Tied
from cleanroom.images.formats.text import change, comparison, pulled
from cleanroom.lint.findings import Checked, Finding, Report
from cleanroom.syntax.text import Source, Span


def checked(audit: Audit, tied: Tied | None = None) -> Checked:
    """Return the leftovers of an image as the findings of one file."""
    if tied is None:
        text = "".join(f"{layer.instruction or '# unknown'}\n" for layer in audit.layers)
        places = {layer.number: layer.number for layer in audit.layers}
        path = audit.reference
    else:
        text, path = tied.text, tied.file
        places = {cause.leftover.layer: cause.line or 1 for cause in tied.causes}
    source = Source(text)
    known = {} if tied is None else {id(cause.leftover): cause.finding for cause in tied.causes}
    findings = [
        _finding(source, audit, item, places[item.layer], known.get(id(item))) for item in audit.leftovers if item.bytes
    ]
    findings.sort(key=lambda item: (item.span.start, item.manager, item.cache))
    return Checked(path.replace("\\", "/"), text, Report(tuple(findings)))


def beside(audit: Audit, other: Audit) -> str:
    """Return a table in Markdown that shows two images side by side."""
    heads = " | ".join(cell(image.reference) for image in (audit, other))
    rows = "".join(
        f"| {cell(name.strip())} | {size(one)} | {size(two)} | {change(one, two)} |\n"
        for name, one, two in comparison(audit, other)
    )
    return f"\n| | {heads} | difference |\n|---|---:|---:|---:|\n{rows}"


def _finding(source: Source, audit: Audit, item: Leftover, line: int, known: Finding | None) -> Finding:
    layer = audit.layers[item.layer - 1]
    message = f"{item.manager} left {size(item.bytes)} in layer {item.layer}: {item.what}"
    if layer.compression:
        message += f" ({pulled(item)} to pull)"
    if item.removed_in is not None:
        message += f"; layer {item.removed_in} removes it from view, but the bytes ship"
    if item.is_base:
        message += "; the base image brought it"
    if known is not None:
        span, place = known.span, (known.line, known.column, known.end_line, known.end_column)
        line = known.instruction_line
    else:
        start, length = source.line_start(line), len(source.line(line))
        span, place = Span(start, start + length), (line, 1, line, length + 1)
    return Finding(
        "left-behind" if item.removed_in is None else "cleaned-late",
        item.manager,
        item.cache,
        "info" if item.is_base else "warning",
        message,
        span,
        *place,
        line,
        known.stage if known is not None else "",
        True,
        paths=item.paths[:20],
        remedies=item.remedies,
    )
