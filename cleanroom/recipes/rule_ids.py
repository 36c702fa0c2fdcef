"""The ids of the rules that `cleanroom export` writes for other linters.

Each is about one cache. Semgrep's and Checkov's ids name it; the policy for Trivy names it in its message, as
cleanroom's own findings do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cleanroom.recipes.library import Library

POLICY_ID = "CLEANROOM"  # of the one rule that the policy in Rego is
SEMGREP = "cleanroom-"
CHECKOV = f"{POLICY_ID}_"


def semgrep_id(manager: str, cache: str) -> str:
    """Return the id of Semgrep's rule about a cache; Semgrep puts folders in front, with dots."""
    return f"{SEMGREP}{manager}-{cache}"


def checkov_id(manager: str, cache: str) -> str:
    """Return the id of Checkov's check about a cache."""
    return CHECKOV + re.sub(r"[.-]", "_", f"{manager}_{cache}".upper())


def label(manager: str, cache: str) -> str:
    """Return how a message names a cache; it stands in square brackets there."""
    return f"{manager}.{cache}"


def caches(library: Library) -> Mapping[str, tuple[str, str]]:
    """Return the manager and the cache that each name stands for."""
    return {
        named(recipe.id, cache.id): (recipe.id, cache.id)
        for recipe in library.recipes()
        for cache in recipe.caches
        for named in (semgrep_id, checkov_id, label)
    }
