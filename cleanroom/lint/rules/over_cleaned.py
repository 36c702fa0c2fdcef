"""``over-cleaned``: a clean-up, or a cache mount, takes away what must stay."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Copied, Fill, Installed, Remove, Used
from cleanroom.engine.ledger import Layer, Ledger, StageLedger
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, finding
from cleanroom.recipes.facts import at_home
from cleanroom.recipes.model import Keep, Recipe
from cleanroom.syntax.paths import UNKNOWN, below, covers
from cleanroom.syntax.text import Span


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for each removal of something a manager that the file uses must keep."""
    used: dict[str, Recipe] = {}
    for stage in ledger.stages:
        for layer in stage.layers:
            for event in layer.events:
                if isinstance(event, (Fill, Used)):
                    used[event.recipe.id] = event.recipe
    for stage in ledger.stages:
        for position, layer in enumerate(stage.layers):
            for event in layer.events:
                if not isinstance(event, Remove) or not event.certain:
                    continue
                told: set[str] = set()  # two managers may keep the same, or one a folder of this name in two places
                for recipe in used.values():
                    for keep in recipe.keep:
                        what = keep.path.rpartition("/")[2] if keep.by_name else keep.path
                        if (
                            what not in told
                            and any(removes(pattern, keep, recursive=event.recursive) for pattern in event.patterns)
                            and _needed(keep, recipe, event, stage.layers[position:])
                        ):
                            told.add(what)
                            yield finding(
                                ledger,
                                layer,
                                "over-cleaned",
                                "error",
                                recipe,
                                None,
                                event.span,
                                f"this removes {keep.path}, which {recipe.name} needs: {keep.why}",
                                paths=(keep.path,),
                            )
        for layer in stage.layers:
            yield from _hidden_state(ledger, layer)
        if stage.ships:
            yield from _payload(ledger, stage)


def _hidden_state(ledger: Ledger, layer: Layer) -> Iterator[Finding]:
    """Yield a finding for each cache mount that also holds what a manager must remember in the image."""
    told: set[tuple[str, str]] = set()
    for event in layer.events:
        if not isinstance(event, (Fill, Used)):
            continue
        for keep in event.recipe.keep:
            mount = layer.mount([at_home(keep.path, layer.home)])
            if mount is None or mount.kind != "cache" or keep.folder or keep.by_name:
                continue
            if (event.recipe.id, keep.path) not in told:
                told.add((event.recipe.id, keep.path))
                text = (
                    f"the mount on {mount.target} keeps {keep.path} out of the image, and shares it with other builds"
                )
                yield finding(
                    ledger,
                    layer,
                    "over-cleaned",
                    "error",
                    event.recipe,
                    None,
                    event.span,
                    f"{text}: {keep.why}",
                    paths=(keep.path,),
                )


def _payload(ledger: Ledger, stage: StageLedger) -> Iterator[Finding]:
    """Yield a finding for each removal, and each mount, of a folder that holds more than caches."""
    made: list[Installed] = [
        event
        for below in ledger.chain(stage.stage.index)[:-1]
        for layer in below.layers
        for event in layer.events
        if isinstance(event, Installed) and event.certain and layer.mount(event.paths) is None
    ]
    for layer in stage.layers:
        for event in layer.events:
            if isinstance(event, Installed) and event.certain:
                if layer.mount(event.paths) is None:
                    made.append(event)
                else:
                    text = f"the mount takes {event.payload.what} out of the image"
                    yield _finding(ledger, layer, event, event.span, text)
            elif isinstance(event, Copied):
                made = [item for item in made if not _takes(event, item)]
            elif isinstance(event, Remove):
                for installed in [item for item in made if _removes_payload(event, item)]:
                    made.remove(installed)
                    if not _means_it(event, installed):
                        text = f"this removes {installed.payload.what} in {', '.join(installed.paths)}"
                        yield _finding(ledger, layer, installed, event.span, text)


def _finding(ledger: Ledger, layer: Layer, made: Installed, span: Span, text: str) -> Finding:
    return finding(ledger, layer, "over-cleaned", "error", made.recipe, None, span, text, paths=made.paths)


def _removes_payload(event: Remove, made: Installed) -> bool:
    if not event.recursive or not event.certain or not made.paths or any(not holds for _, holds in event.guards):
        return False  # it removes files only, or runs only where something else did not
    return all(any(covers(pattern, path) is True for pattern in event.patterns) for path in made.paths)


def _takes(event: Copied, made: Installed) -> bool:
    """Return True if what was installed, or some of it, is now elsewhere too: what stays behind may go."""
    return any(below(pattern, path) or covers(pattern, path) for pattern in event.patterns for path in made.paths)


def _means_it(event: Remove, made: Installed) -> bool:
    """Return True if a removal names the folder itself, or what is in it, and none above it."""
    depths = {len(path.strip("/").split("/")) for path in made.paths}
    return all(
        len(pattern.strip("/").removesuffix("/*").split("/")) >= min(depths)
        for pattern in event.patterns
        if any(covers(pattern, path) is True for path in made.paths)
    )


def removes(pattern: str, keep: Keep, *, recursive: bool) -> bool:
    """Return True if removing ``pattern`` takes away what must be kept."""
    if UNKNOWN in pattern or not pattern.strip("/"):
        return False
    parts = [part for part in pattern.split("/") if part]
    if keep.folder and len(parts) > len(keep.path.strip("/").split("/")):
        return False
    if keep.by_name:
        name, kept = (path.removesuffix("/*").rpartition("/")[2] for path in (pattern, keep.path))
        if not name.strip("*") or not covers(f"/{name}", f"/{kept}"):
            return False
    return covers(pattern, keep.path) is True and (recursive or pattern == keep.path)


def _needed(keep: Keep, recipe: Recipe, removal: Remove, layers: list[Layer]) -> bool:
    if not keep.needed_by:
        return True
    return any(
        isinstance(event, (Fill, Used))
        and event.recipe.id == recipe.id
        and event.verb in keep.needed_by
        and (index > 0 or event.order > removal.order)
        for index, layer in enumerate(layers)
        for event in layer.events
    )


RULE = Rule(
    "over-cleaned",
    "the clean-up removes what must stay: a package database, a folder the manager needs, what was installed",
    "error",
    """Some of what a manager keeps is its memory of what is installed. Without it, it cannot work on. And some managers
install into a folder called cache: poetry makes its environments in ~/.cache/pypoetry, corepack keeps yarn and pnpm in
~/.cache/node. Where such a folder is removed or a cache is mounted over it, what was installed is gone.

Bad:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/* /var/lib/dpkg

Good:
    RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
""",
    find,
)
