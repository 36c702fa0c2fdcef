"""A treemap of an image: its layers by weight, in them the caches, and all else by folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cleanroom.formats.values import size
from cleanroom.images.audit import Reading
from cleanroom.images.tree import Folder, show

_WIDTH, _HEIGHT = 1200.0, 640.0
_HEAD = 20.0  # of a layer, for its name
_FINE = 0.004  # of the image: what is smaller is shown together
_COARSE = 0.05  # of the image: a folder that is larger is shown by what is in it


@dataclass(slots=True)
class Box:
    """Something with a weight, to be drawn."""

    name: str
    weight: int
    title: str
    kind: str = "rest"  # of its class: layer, base, cache, late, rest
    colour: str = ""
    boxes: list[Box] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Placed:
    """A box where it is drawn; all sides in per cent of the whole map."""

    box: Box
    left: float
    top: float
    width: float
    height: float

    @property
    def has_room(self) -> bool:
        """Whether there is room for its name."""
        return self.width > 2.5 and self.height > 1.9


def draw(reading: Reading, colours: Mapping[str, str]) -> Iterator[Placed]:
    """Yield all boxes in the order in which they are drawn; ``colours`` are those of managers."""
    for box, x, y, width, height in squarify(layers(reading, colours), 0, 0, _WIDTH, _HEIGHT):
        yield _placed(box, x, y, width, height)
        if height > _HEAD * 1.6 and width > 12:
            inner = height - _HEAD - 2
            for child, left, top, wide, high in squarify(box.boxes, 0, 0, width - 4, inner):
                yield _placed(child, x + 2 + left, y + _HEAD + top, wide, high)


def _placed(box: Box, x: float, y: float, width: float, height: float) -> Placed:
    return Placed(box, 100 * x / _WIDTH, 100 * y / _HEIGHT, 100 * width / _WIDTH, 100 * height / _HEIGHT)


def layers(reading: Reading, colours: Mapping[str, str]) -> list[Box]:
    """Return the layers with their caches and folders."""
    audit = reading.audit
    folders = _folders(reading)
    boxes = []
    for layer in audit.layers:
        inside = [
            Box(
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
        boxes.append(Box(name, layer.bytes, title, "base" if layer.is_base else "layer", boxes=inside))
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


def _split(sums: dict[bytes, int], whole: int) -> Iterator[Box]:
    """Yield the folders of a layer, split as finely as can be drawn."""
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
            yield Box(f"{'/'.join(name.split('/')[-2:]) or '/'}  {size(own)}", own, f"{name}: {size(own)}")
    if rest:
        yield Box(f"smaller folders  {size(rest)}", rest, f"smaller folders: {size(rest)}")


def squarify(
    boxes: Sequence[Box], x: float, y: float, width: float, height: float
) -> Iterator[tuple[Box, float, float, float, float]]:
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
        row: list[Box] = []
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
