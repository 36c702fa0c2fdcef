"""The audit of an image for people: what it carries, by manager and by layer, and what would keep it out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from click import style

from cleanroom.formats.findings.text import printable, size, where_to_write
from cleanroom.images.audit import Audit, Leftover, waste_by_manager
from cleanroom.images.causes import Cause, Tied
from cleanroom.lint.findings import Advice

_BAR = 24  # columns
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SMALL = 10_000  # bytes; caches below are one line together


def render(audit: Audit, tied: Tied | None = None, *, colour: bool, width: int, verbose: bool = False) -> Iterator[str]:
    """Yield the lines; long ones are cut or wrapped to ``width`` columns."""
    head = _cut(printable(audit.reference), width)
    yield style(head, bold=True) if colour else head
    facts = [fact for fact in (audit.platform, audit.system) if fact]
    layers = f"{len(audit.layers)} layer{'s' * (len(audit.layers) != 1)}"
    facts.append(f"{size(audit.bytes)} in {layers}")
    if any(layer.compression for layer in audit.layers):
        facts.append(f"{size(audit.stored)} to pull")
    yield from _wrap(printable(", ".join(facts)), "  ", width)
    base = [layer for layer in audit.layers if layer.is_base]
    if base:
        name = f" {printable(audit.base_name)}" if audit.base_name else ""
        how = " (by its history)" if audit.base_from == "history" else ""
        span = "layer 1 is" if len(base) == 1 else f"layers 1 to {len(base)} are"
        yield from _wrap(f"{span} the base image{name}{how}: {size(sum(layer.bytes for layer in base))}", "  ", width)
    yield ""
    if not audit.waste:
        yield "No package manager left a cache behind."
        yield from _hidden(audit, width)
        yield from _unborne(tied, width)
        return
    share = _percent(audit.waste, audit.bytes)
    line = f"{size(audit.waste)} of it is left by package managers, {share}; without: {size(audit.bytes - audit.waste)}"
    yield from _wrap(line, "", width)
    yield ""
    yield from _managers(audit, colour=colour, width=width)
    for layer in audit.layers:
        found = [item for item in audit.leftovers if item.layer == layer.number and (item.bytes or verbose)]
        if not found:
            continue
        yield ""
        weight = sum(item.bytes for item in found)
        origin = "base image: " if layer.is_base else ""
        head = f"Layer {layer.number}, {size(weight)} of {size(layer.bytes)}  {origin}{printable(layer.instruction)}"
        head = _cut(head.rstrip(), width)
        yield style(head, bold=True) if colour else head
        yield from _layer(audit, tied, found, width=width, verbose=verbose, colour=colour)
    yield from _hidden(audit, width)
    yield from _unborne(tied, width)


def _managers(audit: Audit, *, colour: bool, width: int) -> Iterator[str]:
    rows = [row for row in waste_by_manager(audit) if row[1]]
    names = max(len(name) for name, *_ in rows)
    most = rows[0][1]
    bar = max(min(_BAR, width - names - 40), 4)
    for name, weight, _, caches in rows:
        parts = ", ".join(
            f"{cache} {size(count)}" for cache, count in sorted(caches.items(), key=lambda item: -item[1]) if count
        )
        filled = _bar(weight / most, bar)
        drawn = style(filled, fg="yellow") if colour else filled
        text = f"{size(weight):>10} {_percent(weight, audit.bytes):>7}  "
        line = _cut(parts, max(width - names - bar - len(text) - 4, 8))
        yield f"  {name:<{names}}  {drawn}{text}{line}".rstrip()


def _layer(
    audit: Audit, tied: Tied | None, found: list[Leftover], *, width: int, verbose: bool, colour: bool
) -> Iterator[str]:
    causes = {} if tied is None else {id(cause.leftover): cause for cause in tied.causes}
    large = [item for item in found if item.bytes >= _SMALL or verbose]
    names = max((len(f"{item.manager}.{item.cache}") for item in large), default=0)
    for item in large:
        name = f"{item.manager}.{item.cache}"
        files = f"{item.files:,} file{'s' * (item.files != 1)}"
        compressed = f", {size(item.stored)} to pull" if audit.layers[item.layer - 1].compression else ""
        yield from _wrap(
            f"{name:<{names}}  {size(item.bytes):>8}  {files}{compressed}: {_paths(item)}", "  ", width, names + 14
        )
        if item.removed_in is not None:
            late = f"layer {item.removed_in} removes it, too late: the bytes ship with layer {item.layer}"
            for line in _wrap(late, " " * (names + 14), width):
                yield style(line, fg="yellow") if colour else line
        if tied is not None and (cause := causes.get(id(item))):
            yield from _wrap(printable(_why(tied, cause)), " " * (names + 14), width)
        if item.linked:
            yield from _wrap(
                f"{size(item.linked)} more there are hard links to files of something else, which cost nothing",
                " " * (names + 14),
                width,
            )
    small = [item for item in found if item not in large]
    if small:
        what = ", ".join(f"{item.manager}.{item.cache} {size(item.bytes)}" for item in small)
        yield from _wrap(f"and {what}", "  ", width)
    number = found[0].layer
    for layer, manager, remedies in audit.remedies:
        if layer == number and any(item in large for item in found if item.manager == manager):
            for remedy in remedies:
                where = _where(remedy, audit.layers[number - 1].instruction)
                yield from _wrap(f"{where}: {printable(remedy.text)}", "  → ", width)


def _why(tied: Tied, cause: Cause) -> str:
    if cause.finding is not None:
        return f"{tied.file}:{cause.finding.line}:{cause.finding.column}: {cause.finding.rule}"
    return f"{tied.file}:{cause.line}: {cause.reason}" if cause.line else cause.reason


def _unborne(tied: Tied | None, width: int) -> Iterator[str]:
    if tied is None or not tied.unborne:
        return
    yield ""
    yield "Findings that the image does not bear out:"
    for item in tied.unborne:
        finding = item.finding
        place = f"{tied.file}:{finding.line}:{finding.column}"
        line = f"{place}  {finding.rule}[{finding.manager}.{finding.cache}]: {item.reason}"
        yield from _wrap(printable(line), "  ", width, 6)


def comparison(audit: Audit, other: Audit) -> list[tuple[str, int, int]]:
    """Return what of two images is to be shown side by side, each with its bytes in both; caches are indented."""
    rows: list[tuple[str, int, int]] = [("all files", audit.bytes, other.bytes)]
    if any(layer.compression for layer in (*audit.layers, *other.layers)):
        rows.append(("to pull", audit.stored, other.stored))
    rows.append(("caches", audit.waste, other.waste))
    mine, theirs = _caches(audit), _caches(other)
    rows += [
        (f"  {name}", mine.get(name, 0), theirs.get(name, 0))
        for name in dict.fromkeys((*mine, *theirs))
        if mine.get(name) or theirs.get(name)
    ]
    rows.append(("without caches", audit.bytes - audit.waste, other.bytes - other.waste))
    return rows


def change(one: int, two: int) -> str:
    """Return the difference of two sizes for people: ``−167 MB``; ``=`` where there is none."""  # noqa: RUF002
    difference = two - one
    return f"{'+' if difference > 0 else '−'}{size(abs(difference))}" if difference else "="  # noqa: RUF001


def compare(audit: Audit, other: Audit, *, width: int) -> Iterator[str]:
    """Yield the lines of a table that shows two images side by side, the caches of each and the difference."""
    rows = comparison(audit, other)
    names = max(len(name) for name, *_ in rows)
    room = max((width - names - 6) // 3, 12)
    heads = [_cut_front(printable(image.reference), room) for image in (audit, other)]
    widths = [max(len(head), 9) for head in heads]
    yield f"{'':<{names}}  {heads[0]:>{widths[0]}}  {heads[1]:>{widths[1]}}  {'difference':>10}".rstrip()
    for name, one, two in rows:
        yield f"{name:<{names}}  {size(one):>{widths[0]}}  {size(two):>{widths[1]}}  {change(one, two):>10}"


def _caches(audit: Audit) -> dict[str, int]:
    return {
        f"{manager}.{cache}": count
        for manager, _, _, caches in waste_by_manager(audit)
        for cache, count in caches.items()
    }


def _cut_front(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[-width + 1 :]


def _where(advice: Advice, instruction: str) -> str:
    if not instruction.startswith("RUN ") and advice.kind == "clean":
        return "run where it comes from" if instruction else "run"
    return where_to_write(advice, "")


def _paths(item: Leftover) -> str:
    shown = printable(", ".join(item.paths[:3]))
    return shown + (f" and {len(item.paths) - 3} more" if len(item.paths) > 3 else "")


def _hidden(audit: Audit, width: int) -> Iterator[str]:
    caches = sum(item.bytes for item in audit.leftovers if item.removed_in is not None)
    others = audit.hidden - caches
    if others >= _SMALL:
        yield ""
        line = f"{size(others)} more are files, no caches, that a later layer removes or replaces"
        yield from _wrap(line, "", width)


def _bar(share: float, width: int) -> str:
    eighths = max(round(share * width * 8), 1)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 1)] + "…"


def _wrap(text: str, indent: str, width: int, hang: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=" " * max(hang, len(indent)),
        break_long_words=False,
        break_on_hyphens=False,
    )
