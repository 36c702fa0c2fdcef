"""What cleanroom's own rules are called in the reports of other linters: those that `cleanroom export` writes.

Each is about one cache. Semgrep's and Checkov's have it in their ids, the policy for Trivy in its message; so has what
cleanroom itself reports.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cleanroom.lint.findings import SIZE_RULES
from cleanroom.lint.linters.reports import Reported
from cleanroom.recipes.library import Library

POLICY_ID = "CLEANROOM"  # of the one rule that the policy in Rego is
_SEMGREP = "cleanroom-"
_CHECKOV = f"{POLICY_ID}_"


def semgrep_id(manager: str, cache: str) -> str:
    """Return the id of Semgrep's rule about a cache; Semgrep puts folders in front, with dots."""
    return f"{_SEMGREP}{manager}-{cache}"


def checkov_id(manager: str, cache: str) -> str:
    """Return the id of Checkov's check about a cache."""
    return _CHECKOV + re.sub(r"[.-]", "_", f"{manager}_{cache}".upper())


def label(manager: str, cache: str) -> str:
    """Return how a message names a cache; it stands in square brackets there."""
    return f"{manager}.{cache}"


def caches(library: Library) -> Mapping[str, tuple[str, str]]:
    """Return the manager and the cache that each name stands for, of those that ``name`` returns."""
    return {
        named(recipe.id, cache.id): (recipe.id, cache.id)
        for recipe in library.recipes()
        for cache in recipe.caches
        for named in (semgrep_id, checkov_id, label)
    }


def name(item: Reported) -> str | None:
    """Return the cache that a report of a rule of cleanroom's is about; None for any other rule.

    ``""`` where the message, which should have it, names no cache.
    """
    rule = item.rule
    if match := re.fullmatch(rf"(?:.*\.)?({_SEMGREP}.+)", rule):
        return match[1]
    if rule.startswith(_CHECKOV):
        return rule
    said_by_us = item.linter == "cleanroom" or rule.startswith("cleanroom/")
    if rule == POLICY_ID or (said_by_us and rule.removeprefix("cleanroom/") in SIZE_RULES):
        last = re.match(r"(?s:.*)\[([\w.-]+\.[\w.-]+)\]", item.message)
        return last[1] if last else ""
    return None
