"""The audit of an image for people: what it carries, by manager and by layer, and what would keep it out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from click import style

from cleanroom.formats.findings.text import where_to_write
from cleanroom.formats.values import printable, size
from cleanroom.images.audit import Audit, Leftover, waste_by_manager
from cleanroom.images.causes import Cause, Tied
from cleanroom.images.compression import Share
from cleanroom.images.outlook import Outlook
from cleanroom.images.waste import Waste
from cleanroom.lint.findings import Advice

_BAR = 24  # columns
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SMALL = 10_000  # bytes; caches below are one line together


class Detail(Enum):
    """How much is shown."""

    LARGE = "large"  # the caches that weigh something; small ones in a line
    ALL = "all"


def painted(text: str, **look: Any) -> str:
    """Return the text with colours and weight for a terminal, as ``click.style`` takes them."""
    return style(text, **look)


def plain(text: str, **_: Any) -> str:
    """Return the text unchanged."""
    return text


_MOST = {Detail.LARGE: 10, Detail.ALL: 1000}  # lines of one kind


@dataclass(frozen=True, slots=True)
class Look:
    """How the lines look: ``width`` is that to which they are cut or wrapped, ``paint`` is painted or plain."""

    width: int
    paint: Callable[..., str] = plain
    detail: Detail = Detail.LARGE


def render(audit: Audit, tied: Tied | None, look: Look) -> Iterator[str]:
    """Yield the lines."""
    width = look.width
    yield from _head(audit, look)
    yield ""
    if not audit.waste:
        yield "No package manager left a cache behind."
    else:
        share = _percent(audit.waste, audit.bytes)
        without = size(audit.bytes - audit.waste)
        yield from _wrap(
            f"{size(audit.waste)} of it is left by package managers, {share}; without: {without}", "", width
        )
        yield ""
        yield from _managers(audit, look)
        for layer in audit.layers:
            found = [
                item
                for item in audit.leftovers
                if item.layer == layer.number and (item.bytes or look.detail is Detail.ALL)
            ]
            if found:
                yield ""
                yield from _layer(audit, tied, found, look)
    yield from _hidden(audit, width)
    yield from _unborne(tied, width)


def rest(waste: Waste, outlook: Outlook, tied: Tied | None, look: Look) -> Iterator[str]:
    """Yield the lines about what else is there, and about the image that could be."""
    yield ""
    yield look.paint("Also there, and not counted above", bold=True)
    names = max((len(extra.kind.id) for extra in waste.extras), default=0)
    for extra in waste.extras:
        files = f"{extra.files:,} file{'s' * (extra.files != 1)}"
        where = printable(", ".join(path for path, _ in extra.paths[:3])) + (" …" if len(extra.paths) > 3 else "")
        line = f"{extra.kind.id:<{names}}  {size(extra.bytes):>8}  {files}: {where}"
        yield from _wrap(line, "  ", look.width, names + 14)
        ask = "look first: " if extra.kind.safe == "ask" else ""
        yield from _wrap(f"{ask}{extra.kind.why}", " " * (names + 14), look.width)
        yield from _wrap(extra.kind.how, " " * (names + 12) + "→ ", look.width)
    if not waste.extras:
        yield "  nothing of the kinds that are known"
    yield from _hidden_files(waste, tied, look)
    yield from _copies(waste, look)
    yield ""
    yield from _outlook(outlook, tied, look)


def _hidden_files(waste: Waste, tied: Tied | None, look: Look) -> Iterator[str]:
    if not waste.hidden:
        return
    yield ""
    weight = sum(item.bytes for item in waste.hidden)
    yield look.paint(f"Hidden by later layers, {size(weight)} in {len(waste.hidden):,} files", bold=True)
    for item in waste.hidden[: _MOST[look.detail]]:
        line = f"{size(item.bytes):>8}  {printable(item.path)}, of layer {item.layer}, gone in layer {item.removed_in}"
        yield from _wrap(line, "  ", look.width, 12)
        if tied is not None and (finding := tied.hidden_by(item.layer, item.path)):
            place = f"{tied.file}:{finding.line}:{finding.column}: {finding.rule}"
            yield from _wrap(printable(place), " " * 12, look.width)


def _copies(waste: Waste, look: Look) -> Iterator[str]:
    if not waste.copies:
        return
    yield ""
    weight = sum(item.waste for item in waste.copies)
    yield look.paint(f"There more than once, {size(weight)}", bold=True)
    for item in waste.copies[: _MOST[look.detail]]:
        shown = ", ".join(f"{printable(path)} (layer {layer})" for layer, path in item.places[:4])
        more = f" and {len(item.places) - 4} more" if len(item.places) > 4 else ""
        yield from _wrap(f"{size(item.waste):>8}  {shown}{more}", "  ", look.width, 12)


def _outlook(outlook: Outlook, tied: Tied | None, look: Look) -> Iterator[str]:
    line = f"The image that could be: {size(outlook.bytes)} → {size(outlook.fixed)} by the fixes"
    if outlook.lean:
        line += f", {size(outlook.least)} when managers leave out what they can"
    yield from _wrap(line, "", look.width)
    for what, savings in (("fix", outlook.fixes), ("leave out", outlook.lean)):
        sums: dict[tuple[int, str], int] = {}
        for saving in savings:
            key = (saving.line or 0, saving.what)
            sums[key] = sums.get(key, 0) + saving.bytes
        for (number, name), weight in sorted(sums.items(), key=lambda item: -item[1])[: _MOST[look.detail]]:
            place = f"{printable(tied.file)}:{number}: " if tied is not None and number else ""
            yield from _wrap(f"{size(weight):>8}  {place}{what} {name}", "  ", look.width, 12)


def _head(audit: Audit, look: Look) -> Iterator[str]:
    width = look.width
    head = _cut(printable(audit.reference), width)
    yield look.paint(head, bold=True)
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


def _managers(audit: Audit, look: Look) -> Iterator[str]:
    rows = [row for row in waste_by_manager(audit) if row[1]]
    names = max(len(name) for name, *_ in rows)
    most = rows[0][1]
    bar = max(min(_BAR, look.width - names - 40), 4)
    for name, weight, _, caches in rows:
        parts = ", ".join(
            f"{cache} {size(count)}" for cache, count in sorted(caches.items(), key=lambda item: -item[1]) if count
        )
        drawn = look.paint(_bar(weight / most, bar), fg="yellow")
        text = f"{size(weight):>10} {_percent(weight, audit.bytes):>7}  "
        line = _cut(parts, max(look.width - names - bar - len(text) - 4, 8))
        yield f"  {name:<{names}}  {drawn}{text}{line}".rstrip()


def _layer(audit: Audit, tied: Tied | None, found: list[Leftover], look: Look) -> Iterator[str]:
    layer = audit.layers[found[0].layer - 1]
    weight = sum(item.bytes for item in found)
    origin = "base image: " if layer.is_base else ""
    head = f"Layer {layer.number}, {size(weight)} of {size(layer.bytes)}  {origin}{printable(layer.instruction)}"
    yield look.paint(_cut(head.rstrip(), look.width), bold=True)
    causes = {} if tied is None else {id(cause.leftover): cause for cause in tied.causes}
    large = [item for item in found if item.bytes >= _SMALL or look.detail is Detail.ALL]
    names = max((len(f"{item.manager}.{item.cache}") for item in large), default=0)
    for item in large:
        yield from _leftover(audit, item, names, look)
        if tied is not None and (cause := causes.get(id(item))):
            yield from _wrap(printable(_why(tied, cause)), " " * (names + 14), look.width)
        if item.linked:
            line = f"{size(item.linked)} more there are hard links to files of something else, which cost nothing"
            yield from _wrap(line, " " * (names + 14), look.width)
    small = [item for item in found if item not in large]
    if small:
        what = ", ".join(f"{item.manager}.{item.cache} {size(item.bytes)}" for item in small)
        yield from _wrap(f"and {what}", "  ", look.width)
    for number, manager, remedies in audit.remedies:
        if number == layer.number and any(item.manager == manager for item in large):
            for remedy in remedies:
                where = _where(remedy, layer.instruction)
                yield from _wrap(f"{where}: {printable(remedy.text)}", "  → ", look.width)


def _leftover(audit: Audit, item: Leftover, names: int, look: Look) -> Iterator[str]:
    name = f"{item.manager}.{item.cache}"
    files = f"{item.files:,} file{'s' * (item.files != 1)}"
    compressed = f", {pulled(item)} to pull" if audit.layers[item.layer - 1].compression else ""
    line = f"{name:<{names}}  {size(item.bytes):>8}  {files}{compressed}: {_paths(item)}"
    yield from _wrap(line, "  ", look.width, names + 14)
    if item.removed_in is not None:
        late = f"layer {item.removed_in} removes it, too late: the bytes ship with layer {item.layer}"
        for line in _wrap(late, " " * (names + 14), look.width):
            yield look.paint(line, fg="yellow")


def pulled(item: Leftover) -> str:
    """Return what a leftover weighs as it is pulled: ``15 MB``, or ``0.2 MB to 15 MB`` where that is not sure."""
    low, high = item.stored_between
    return size(item.stored) if Share(low, item.stored, high).is_sure else f"{size(low)} to {size(high)}"


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


def compare(audit: Audit, other: Audit, width: int) -> Iterator[str]:
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
