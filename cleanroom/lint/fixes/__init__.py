"""Fixes: from a finding to the edits for it, or the reason why there are none.

``place`` knows the RUN, ``script`` where text joins in its script, ``remedies`` how each remedy is written, ``uses``
which other lines use a cache; the fixes of each rule are in ``left_behind`` and ``commands``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cleanroom.engine.ledger import Ledger
from cleanroom.lint.findings import Finding, Fix
from cleanroom.lint.fixes import commands, left_behind, mounts, removed_late
from cleanroom.lint.fixes.place import DeclinedError

_Fixer = Callable[[Ledger, Finding, str, bool], Fix]

_FIXERS: Mapping[str, _Fixer] = {
    "left-behind": left_behind.fix,
    "cleaned-late": left_behind.fix,
    "cleaned-early": left_behind.fix,
    "removed-late": removed_late.fix,
    **commands.FIXERS,
    "downloads-anew": mounts.fix,
}


def propose(ledger: Ledger, finding: Finding, *, prefer: str = "", unsafe: bool = False) -> Fix | str:
    """Return the fix of a finding, else why there is none.

    ``prefer`` is the kind of remedy to try first. Of several, a safe fix goes first; with ``unsafe``, one of the kind
    that is preferred, even if it is not safe.
    """
    fixer = _FIXERS.get(finding.rule)
    if fixer is None:
        return "this is for the author to decide"
    try:
        return fixer(ledger, finding, prefer, unsafe)
    except DeclinedError as declined:
        return declined.reason
