"""The audit of an image as one page that needs nothing else: a treemap of layers, and in them what is cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

import cleanroom
from cleanroom.formats.findings.text import printable, size
from cleanroom.images.audit import Audit, Leftover, Reading, waste_by_manager
from cleanroom.images.causes import Tied
from cleanroom.images.formats.text import change, comparison
from cleanroom.images.tree import Folder, show

_WIDTH, _HEIGHT = 1200.0, 640.0
_HEAD = 20.0  # of a layer, for its name
_FINE = 0.004  # of the image: what is smaller is shown together
_COARSE = 0.05  # of the image: a folder that is larger is shown by what is in it
_COLOURS = ("#d1495b", "#e07a2c", "#c99700", "#a23b72", "#8f5d2e", "#cf5c8d", "#b5651d", "#7a4fb5")


@dataclass(slots=True)
class _Box:
    """Something with a weight, to be drawn."""

    name: str
    weight: int
    title: str
    kind: str = "rest"  # of its class
    colour: str = ""
    boxes: list[_Box] = field(default_factory=list)


def render(reading: Reading, tied: Tied | None = None, other: Audit | None = None) -> Iterator[str]:
    """Yield the page in pieces; ``other`` is an image to show beside it."""
    audit = reading.audit
    colours = {manager: _COLOURS[index % len(_COLOURS)] for index, (manager, *_) in enumerate(waste_by_manager(audit))}
    yield _PAGE_HEAD.replace("{title}", escape(f"{printable(audit.reference)}: what it carries"))
    yield f"<h1>{escape(printable(audit.reference))}</h1>\n"
    facts = [fact for fact in (audit.platform, audit.system, audit.digest) if fact]
    yield f'<p class="facts">{escape(printable(" · ".join(facts)))}</p>\n'
    yield from _numbers(audit)
    yield from _treemap(_layers(reading, colours))
    yield from _legend(audit, colours)
    if other is not None:
        yield from _compare(audit, other)
    yield from _leftovers(audit, tied, colours)
    yield from _table(audit)
    if tied is not None:
        yield from _unborne(tied)
    yield f"<footer>cleanroom {escape(cleanroom.__version__)}</footer>\n</main>\n</html>\n"


def _numbers(audit: Audit) -> Iterator[str]:
    cells = [
        (size(audit.bytes), f"in {len(audit.layers)} layer{'s' * (len(audit.layers) != 1)}"),
        (size(audit.waste), f"left by package managers, {_percent(audit.waste, audit.bytes)}"),
        (size(audit.bytes - audit.waste), "without it"),
    ]
    if any(layer.compression for layer in audit.layers):
        cells.insert(1, (size(audit.stored), f"to pull, {size(audit.waste_stored)} of it caches"))
    yield '<ul class="numbers">'
    for number, what in cells:
        yield f"<li><b>{escape(number)}</b> {escape(what)}</li>"
    yield "</ul>\n"


# The treemap.


def _layers(reading: Reading, colours: dict[str, str]) -> list[_Box]:
    """Return the layers with their caches and folders."""
    audit = reading.audit
    folders = _folders(reading)
    boxes = []
    for layer in audit.layers:
        inside = [
            _Box(
                f"{item.manager}.{item.cache}  {size(item.bytes)}",
                item.bytes,
                f"{item.manager}.{item.cache}: {size(item.bytes)}"
                + (f", removed in layer {item.removed_in}, too late" if item.removed_in else "")
                + f"\n{', '.join(item.paths[:5])}",
                "late" if item.removed_in else "cache",
                colours[item.manager],
            )
            for item in audit.leftovers
            if item.layer == layer.number and item.bytes
        ]
        inside += _split(folders[layer.number - 1], audit.bytes)
        base = "base image: " if layer.is_base else ""
        title = f"layer {layer.number}: {size(layer.bytes)}\n{base}{layer.instruction}"
        name = f"{layer.number}  {size(layer.bytes)}  {base}{layer.instruction}"
        boxes.append(_Box(name, layer.bytes, title, "base" if layer.is_base else "layer", boxes=inside))
    return [box for box in boxes if box.weight]


def _folders(reading: Reading) -> list[dict[bytes, int]]:
    """Return for each layer the bytes of files that are no leftovers, by folder, those below included."""
    tree = reading.contents.tree
    sums: list[dict[bytes, int]] = [{} for _ in reading.audit.layers]
    seen = bytearray(reading.counted)
    for root in (tree.root, *tree.hidden.values()):
        stack: list[tuple[bytes, Folder]] = [(b"", root)]
        while stack:
            path, folder = stack.pop()
            for name, entry in folder.items():
                if type(entry) is dict:
                    stack.append((path + b"/" + name, entry))
                elif type(entry) is int and not seen[entry]:
                    seen[entry] = 1
                    mine = sums[tree.layers[entry]]
                    mine[path] = mine.get(path, 0) + tree.sizes[entry]
    for mine in sums:
        for path, weight in list(mine.items()):
            while path:
                path = path.rpartition(b"/")[0]
                mine[path] = mine.get(path, 0) + weight
    return sums


def _split(sums: dict[bytes, int], whole: int) -> Iterator[_Box]:
    """Yield the folders of a layer, each as fine as it is worth to be drawn."""
    below: dict[bytes, list[bytes]] = {}
    for path in sums:
        if path:
            below.setdefault(path.rpartition(b"/")[0], []).append(path)
    rest = 0
    stack = [b""]
    while stack:
        path = stack.pop()
        weight = sums.get(path, 0)
        if weight < _FINE * whole:
            rest += weight
            continue
        inside = below.get(path, []) if weight > _COARSE * whole or not path else []
        own = weight - sum(sums[child] for child in inside)
        stack.extend(inside)
        if inside and own < _FINE * whole:
            rest += own
        elif own:
            name = show(path) or "/"
            yield _Box(f"{'/'.join(name.split('/')[-2:]) or '/'}  {size(own)}", own, f"{name}: {size(own)}")
    if rest:
        yield _Box(f"smaller folders  {size(rest)}", rest, f"smaller folders: {size(rest)}")


def _treemap(boxes: list[_Box]) -> Iterator[str]:
    yield '<div class="map" role="img" aria-label="layers by weight, and the caches in them, as the tables say">\n'
    for box, x, y, width, height in squarify(boxes, 0, 0, _WIDTH, _HEIGHT):
        yield _draw(box, x, y, width, height, _WIDTH, _HEIGHT)
        if height > _HEAD * 1.6 and width > 12:
            inner = height - _HEAD - 2
            for child, left, top, wide, high in squarify(box.boxes, 0, 0, width - 4, inner):
                yield _draw(child, x + 2 + left, y + _HEAD + top, wide, high, _WIDTH, _HEIGHT)
    yield "</div>\n"


def _draw(box: _Box, x: float, y: float, width: float, height: float, whole: float, tall: float) -> str:
    place = (
        f"left:{100 * x / whole:.3f}%;top:{100 * y / tall:.3f}%;"
        f"width:{100 * width / whole:.3f}%;height:{100 * height / tall:.3f}%"
    )
    colour = f";--c:{box.colour}" if box.colour else ""
    label = escape(printable(box.name)) if width > 30 and height > 12 else ""
    title = escape(_lines(box.title))
    return f'<div class="{box.kind}" style="{place}{colour}" title="{title}"><span>{label}</span></div>\n'


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def squarify(
    boxes: Sequence[_Box], x: float, y: float, width: float, height: float
) -> Iterator[tuple[_Box, float, float, float, float]]:
    """Lay boxes out by weight, each as near to a square as may be.

    Source: Bruls, Huizing, van Wijk, Squarified Treemaps (https://vanwijk.win.tue.nl/stm.pdf).
    """
    rest = sorted((box for box in boxes if box.weight > 0), key=lambda box: -box.weight)
    total = float(sum(box.weight for box in rest))
    if not total or width <= 0 or height <= 0:
        return
    scale = width * height / total
    while rest:
        side = min(width, height)
        row: list[_Box] = []
        area = 0.0
        worst = float("inf")
        while rest:
            more = area + rest[0].weight * scale
            largest, smallest = (row[0] if row else rest[0]).weight * scale, rest[0].weight * scale
            ratio = max(side * side * largest / (more * more), more * more / (side * side * smallest))
            if row and ratio > worst:
                break
            worst, area = ratio, more
            row.append(rest.pop(0))
        thick = area / side if side else 0.0
        along = 0.0
        for box in row:
            length = box.weight * scale / thick if thick else 0.0
            if width >= height:
                yield box, x, y + along, thick, length
            else:
                yield box, x + along, y, length, thick
            along += length
        if width >= height:
            x, width = x + thick, max(width - thick, 0.0)
        else:
            y, height = y + thick, max(height - thick, 0.0)


# The tables.


def _legend(audit: Audit, colours: dict[str, str]) -> Iterator[str]:
    yield '<p class="legend">'
    for manager, weight, _, _ in waste_by_manager(audit):
        if weight:
            yield f'<span><i style="--c:{colours[manager]}"></i>{escape(manager)} {escape(size(weight))}</span> '
    if any(item.removed_in for item in audit.leftovers):
        yield '<span><i class="stripes"></i>removed by a later layer, too late</span> '
    yield "<span><i class=grey></i>all else, by folder</span></p>\n"


def _leftovers(audit: Audit, tied: Tied | None, colours: dict[str, str]) -> Iterator[str]:
    found = sorted((item for item in audit.leftovers if item.bytes), key=lambda item: -item.bytes)
    if not found:
        yield "<p>No package manager left a cache behind.</p>\n"
        return
    yield "<h2>What is left</h2>\n<table><thead><tr><th>cache<th class=n>bytes<th class=n>to pull<th class=n>files"
    yield "<th class=n>layer<th>where<th>what keeps it out" + ("<th>why" if tied else "") + "</thead>\n"
    causes = {} if tied is None else {id(cause.leftover): cause for cause in tied.causes}
    for item in found:
        remedies = "<br>".join(f"<code>{escape(printable(advice.text))}</code>" for advice in item.remedies[:1])
        late = f"<br><em>removed in {item.removed_in}, too late</em>" if item.removed_in else ""
        base = "<br><em>base image</em>" if item.is_base else ""
        yield (
            f'<tr><td><i style="--c:{colours[item.manager]}"></i>{escape(item.manager)}.{escape(item.cache)}'
            f"<br><small>{escape(item.what)}</small>"
            f"<td class=n>{escape(size(item.bytes))}<td class=n>{escape(size(item.stored))}<td class=n>{item.files:,}"
            f"<td class=n>{item.layer}{late}{base}<td>{_paths(item)}<td>{remedies}"
        )
        if tied is not None:
            cause = causes[id(item)]
            line = f"{escape(tied.file)}:{cause.line}<br>" if cause.line else ""
            what = cause.finding.rule if cause.finding is not None else cause.reason
            yield f"<td>{line}{escape(printable(what))}"
        yield "\n"
    yield "</table>\n"


def _paths(item: Leftover) -> str:
    shown = "<br>".join(f"<code>{escape(printable(path))}</code>" for path in item.paths[:4])
    return shown + (f"<br>and {len(item.paths) - 4} more" if len(item.paths) > 4 else "")


def _table(audit: Audit) -> Iterator[str]:
    yield "<h2>Layers</h2>\n<table><thead><tr><th class=n>layer<th class=n>bytes<th class=n>to pull<th class=n>files"
    yield "<th class=n>caches<th>instruction</thead>\n"
    for layer in audit.layers:
        waste = sum(item.bytes for item in audit.leftovers if item.layer == layer.number)
        base = "<em>base image</em> " if layer.is_base else ""
        yield (
            f"<tr><td class=n>{layer.number}<td class=n>{escape(size(layer.bytes))}"
            f"<td class=n>{escape(size(layer.stored))}"
            f"<td class=n>{layer.files:,}<td class=n>{escape(size(waste)) if waste else ''}"
            f"<td>{base}<code>{escape(printable(layer.instruction))}</code>\n"
        )
    yield "</table>\n"


def _compare(audit: Audit, other: Audit) -> Iterator[str]:
    heads = "".join(f"<th class=n>{escape(printable(image.reference))}" for image in (audit, other))
    yield f"<h2>Beside another image</h2>\n<table><thead><tr><th>{heads}<th class=n>difference</thead>\n"
    for name, one, two in comparison(audit, other):
        inside = " class=in" if name.startswith(" ") else ""
        yield (
            f"<tr><td{inside}>{escape(name.strip())}<td class=n>{escape(size(one))}<td class=n>{escape(size(two))}"
            f"<td class=n>{escape(change(one, two))}\n"
        )
    yield "</table>\n"


def _unborne(tied: Tied) -> Iterator[str]:
    if tied.unborne:
        yield "<h2>Findings that the image does not bear out</h2>\n<ul>\n"
        for item in tied.unborne:
            what = f"{tied.file}:{item.finding.line} {item.finding.rule}[{item.finding.manager}.{item.finding.cache}]"
            yield f"<li>{escape(printable(what))}: {escape(printable(item.reason))}\n"
        yield "</ul>\n"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole if whole else 0:.1f} %"


_PAGE_HEAD = re.sub(
    r"\n\s*",
    "\n",
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {
  color-scheme: light dark; --bg: #fff; --fg: #1c1d1f; --dim: #62666d; --line: #d9dbdf; --box: #e9eaee; --head: #c7cbd4
}
@media (prefers-color-scheme: dark) {
  :root { --bg: #16181c; --fg: #e8e9eb; --dim: #9a9fa8; --line: #33373f; --box: #2b2f37; --head: #3d434e }
}
body { margin: 0; background: var(--bg); color: var(--fg); font: 14px/1.45 system-ui, sans-serif }
main { max-width: 1240px; margin: 0 auto; padding: 20px }
h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 17px; margin: 28px 0 8px }
.facts, small, em, footer { color: var(--dim) }
.facts { margin: 2px 0 12px; overflow-wrap: anywhere }
.numbers { display: flex; flex-wrap: wrap; gap: 6px 28px; list-style: none; padding: 0; margin: 0 0 14px }
.numbers b { font-size: 18px }
.map { position: relative; width: 100%; aspect-ratio: 1200 / 640; min-height: 420px }
.map div { position: absolute; box-sizing: border-box; overflow: hidden; border: 1px solid var(--bg) }
.map span {
  display: block; padding: 1px 4px; font-size: 11px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis
}
.map .layer, .map .base { background: var(--head) }
.map .base { opacity: .75 }
.map .rest { background: var(--box); color: var(--dim) }
.map .cache, .map .late { background: var(--c); color: #fff }
.map .late, .stripes {
  background-image: repeating-linear-gradient(45deg, #0003 0 6px, #0000 6px 12px)
}
.legend span { margin-right: 18px; white-space: nowrap }
i {
  display: inline-block; width: 11px; height: 11px; margin-right: 6px; background: var(--c, var(--dim));
  vertical-align: -1px
}
i.grey { background-color: var(--box); outline: 1px solid var(--line) }
table { border-collapse: collapse; width: 100% }
th { text-align: left; color: var(--dim); font-weight: 500 }
th, td { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
th.n, td.n { text-align: right; white-space: nowrap }
td.in { padding-left: 18px }
code { font: 12px/1.5 ui-monospace, monospace }
footer { margin-top: 24px }
</style>
<main>
""",
)
