"""``removed-late``: what one instruction brings and a later layer deletes, moves, or changes in whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from cleanroom.engine.events import Packages, Remove, Reowned, Write
from cleanroom.engine.late import Late, late
from cleanroom.engine.ledger import Ledger
from cleanroom.engine.settle import empties
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule, finding
from cleanroom.syntax.paths import below, readable

# Texts, by the endings of their names, are small; of what is copied from the build context, all but archives may be.
_TEXTS = frozenset(
    ("asc", "conf", "crt", "gpg", "json", "key", "list", "md5", "pem", "pub", "repo", "sig", "txt", "yml")
)
_TEXTS |= frozenset(("sha1", "sha256", "sha512", "sum", "xml", "yaml"))
_LARGE = re.compile(
    r"\.(?:tar(?:\.\w+)?|t[gbx]z2?|zip|gz|bz2|xz|zst|7z|deb|rpm|apk|jar|war|whl|run|bin|exe|iso|img|pkg)$"
)
_SHOWN = 3  # names of one finding


def groups(ledger: Ledger) -> list[list[Late]]:
    """Return what is taken away too late, by the instruction that brings it and the RUN that takes it."""
    found: dict[tuple[int, int, str, str], list[Late]] = {}
    for item in late(ledger):
        if _is_said_otherwise(ledger, item):
            continue
        change = item.brought.change
        manager = change.recipe.id if isinstance(change, Packages) else ""
        key = (item.brought.instruction.span.start, item.layer.instruction.span.start, manager, _how(item))
        found.setdefault(key, []).append(item)
    return list(found.values())


def start_of(items: list[Late]) -> int:
    """Return where the first command begins that brings what is taken away."""
    return min(item.brought.change.span.start for item in items)


def find(ledger: Ledger) -> Iterator[Finding]:
    """Yield a finding for each instruction and the RUN that takes away what it brings."""
    for items in groups(ledger):
        first = items[0]
        change, brought, taker = first.brought.change, first.brought, first.layer
        names = outermost(name for item in items for name in item.names)
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
        line = ledger.source.position(first.by.span.start)[0]
        recipe = change.recipe if isinstance(change, Packages) else None
        verbs = {item.brought.change.what for item in items if isinstance(item.brought.change, Write)}
        verb = next(iter(verbs)) if len(verbs) == 1 else "brings"
        what = f"{recipe.name} installs" if recipe is not None else f"this {verb}"
        told = finding(
            ledger,
            brought.layer,
            "removed-late",
            _severity(items),
            recipe,
            None,
            min((item.brought.change.span for item in items), key=lambda span: span.start),
            f"{what} {readable(shown)}; the {ledger.dockerfile.run} on line {taker.instruction.line} "
            f"{_said(first, len(names))}",
            paths=() if recipe is not None else names,
            related=((line, _related(first)),),
        )
        stage = ledger.stages[brought.stage]
        yield replace(
            told,
            instruction_line=brought.instruction.line,
            stage=stage.name,
            ships=True,
            aliases=(),
        )


def outermost(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names without those of what is in another one; without a folder of the root that has others in it."""
    every = tuple(dict.fromkeys(names))
    every = tuple(name for name in every if name.count("/") != 1 or not any(_is_in(other, name) for other in every))
    return tuple(name for name in every if not any(_is_in(name, other) for other in every))


def _is_in(name: str, other: str) -> bool:
    return name != other and other.startswith("/") and below(name, other)


def _how(item: Late) -> str:
    by = item.by
    return "moved" if isinstance(by, Write) else by.program if isinstance(by, Reowned) else "removed"


def _said(item: Late, count: int) -> str:
    them = "it" if count == 1 else "them"
    if isinstance(item.by, Write):
        return f"moves {them}, and both layers ship {them}"
    if isinstance(item.by, Reowned):
        return f"changes all in {them} by {item.by.program} -R, and both layers ship {them}"
    return f"removes {them} from view, but the bytes stay in this layer"


def _related(item: Late) -> str:
    if isinstance(item.by, Write):
        return "what moves it a layer too late"
    if isinstance(item.by, Reowned):
        return f"the {item.by.program} that ships it once more"
    return "the removal that comes a layer too late"


def _severity(items: list[Late]) -> str:
    """Return ``info`` where all that is brought may be small, else ``warning``."""
    return "info" if all(map(_may_be_small, items)) else "warning"


def _may_be_small(item: Late) -> bool:
    change = item.brought.change
    if not isinstance(change, Write):
        return False
    if item.brought.layer is None and change.what == "copies":
        is_folder = change.folder and not (isinstance(item.by, Remove) and not item.by.recursive)
        return not is_folder and not any(_LARGE.search(name.lower()) for name in item.names)
    return not change.folder and all(name.rpartition(".")[2].lower() in _TEXTS for name in item.names)


def _is_said_otherwise(ledger: Ledger, item: Late) -> bool:
    """Return True if ``cleaned-late`` says it: what is brought lies in a cache that the same clean-up empties."""
    if not isinstance(item.by, Remove):
        return False
    return any(
        outcome.late is not None
        and outcome.layer is item.brought.layer
        and outcome.late[0] is item.layer
        and any(below(name, path.rstrip("/*")) for name in item.names for path in outcome.fill.paths)
        and empties(item.by, outcome.fill)
        for outcome in ledger.outcomes
    )


RULE = Rule(
    "removed-late",
    "what one instruction brings, a later layer removes: the bytes stay",
    "warning",
    """Each instruction makes a layer. What a later one deletes is hidden, yet its bytes ship: downloads, archives, what
is copied only to be unpacked, packages that only a build needs. What a later layer moves, or changes with chown -R or
chmod -R, ships twice.

Bad:
    RUN wget -q https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-x86_64.sh -O miniconda.sh
    RUN bash miniconda.sh -b -p /opt/conda && rm miniconda.sh

Good:
    RUN wget -q https://repo.anaconda.com/miniconda/Miniconda3-latest-Linux-x86_64.sh -O miniconda.sh \\
        && bash miniconda.sh -b -p /opt/conda && rm miniconda.sh
""",
    find,
)
