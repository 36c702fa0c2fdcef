"""``mount-emptied`` and ``mount-defeated``: a cache mount that cannot do what it is there for."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Clean, Remove
from cleanroom.engine.ledger import Layer, Ledger, Mount, Status
from cleanroom.engine.settle import empties
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, finding
from cleanroom.recipes.facts import Context, cache_paths
from cleanroom.recipes.model import Cache, Recipe
from cleanroom.syntax.paths import below, covers


def _emptied(ledger: Ledger) -> Iterator[Finding]:
    for layer in (layer for stage in ledger.stages for layer in stage.layers):
        mounts = [mount for mount in layer.mounts if mount.kind == "cache"]
        mounted = [
            outcome.fill
            for outcome in ledger.outcomes_in(layer)
            if outcome.mount is not None and outcome.mount.kind == "cache"
        ]
        for event in layer.events:
            if not mounts or not isinstance(event, (Clean, Remove)):
                continue
            emptied = [fill for fill in mounted if empties(event, fill)]
            fill = min(emptied, key=lambda fill: fill.recipe.caches.index(fill.cache), default=None)
            if fill is not None:
                recipe, cache, mount = fill.recipe, fill.cache, layer.mount(fill.paths)
            elif isinstance(event, Clean):  # nothing fills it here; it is emptied all the same
                recipe = event.recipe
                found = next(((name, layer.mount(paths)) for name, paths in event.paths.items()), None)
                mount = found[1] if found else None
                cache = recipe.cache(found[0]) if found else recipe.caches[0]
            else:
                mount = next((mount for mount in mounts if _covered(event, mount)), None)
                owner = _owner(ledger, layer, mount) if mount else None
                if owner is None:
                    continue
                recipe, cache = owner
            if mount is None or mount.kind != "cache":
                continue
            yield finding(
                ledger,
                layer,
                "mount-emptied",
                "warning",
                recipe,
                cache,
                event.span,
                f"this empties the cache mount on {mount.target}: nothing is saved, and the next build "
                "downloads everything again",
                paths=fill.paths if fill else event.paths[cache.id] if isinstance(event, Clean) else (mount.target,),
            )


def _covered(event: Remove, mount: Mount) -> bool:
    """Return True if a removal takes all that is in a mount."""
    return event.recursive and any(
        covers(pattern, mount.target) is True or pattern == f"{mount.target}/*" for pattern in event.patterns
    )


def _owner(ledger: Ledger, layer: Layer, mount: Mount) -> tuple[Recipe, Cache] | None:
    """Return whose cache a mount holds: what the file fills there, else what a recipe keeps just there."""
    for outcome in ledger.outcomes:
        if any(below(path, mount.target) for path in outcome.fill.paths):
            return outcome.fill.recipe, outcome.fill.cache
    for recipe in ledger.library.recipes():
        for cache in recipe.caches:
            paths = cache_paths(recipe, cache, Context(base=layer.base, home=layer.home, user=layer.user))
            if any(path == mount.target or path.startswith(f"{mount.target}/*") for path in paths):
                return recipe, cache
    return None


def _defeated(ledger: Ledger) -> Iterator[Finding]:
    seen: set[tuple[int, str]] = set()
    for outcome in ledger.outcomes:
        fill = outcome.fill
        if outcome.state != Status.MOUNTED or outcome.mount is None or outcome.mount.kind != "cache":
            continue
        if not fill.prevented or fill.prevented == "?":
            continue
        if fill.prevented == fill.cache.kept_out_by_file and fill.prevented not in outcome.layer.base.files:
            continue  # not known to be there
        if any(
            other.mount == outcome.mount and not other.fill.prevented for other in ledger.outcomes_in(outcome.layer)
        ):
            continue  # another command fills it
        key = (outcome.layer.instruction.span.start, fill.recipe.id)
        if key not in seen:
            seen.add(key)
            yield finding(
                ledger,
                outcome.layer,
                "mount-defeated",
                "warning",
                fill.recipe,
                fill.cache,
                fill.span,
                f"{fill.prevented} keeps {fill.recipe.name} from filling the cache mount on {outcome.mount.target}: "
                "the mount stays empty",
                paths=fill.paths,
            )


RULES = (
    Rule(
        "mount-emptied",
        "a clean-up empties a cache mount: nothing saved, next build slower",
        "warning",
        """What lies in a cache mount is in no layer. Removing it saves nothing and costs the next build its cache.

Bad:
    RUN --mount=type=cache,target=/root/.npm npm ci && npm cache clean --force

Good:
    RUN --mount=type=cache,target=/root/.npm npm ci
""",
        _emptied,
    ),
    Rule(
        "mount-defeated",
        "an option or variable forbids the cache that a mount is there to keep",
        "warning",
        """The mount is there to keep the cache between builds, and the command is told to keep none.

Bad:
    RUN --mount=type=cache,target=/root/.cache/pip pip install --no-cache-dir flask

Good:
    RUN --mount=type=cache,target=/root/.cache/pip pip install flask
""",
        _defeated,
    ),
)
