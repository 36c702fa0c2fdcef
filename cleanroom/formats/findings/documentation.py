"""Where a finding is explained: a page of the site that ``mkdocs.yml`` builds from the docs."""

from __future__ import annotations

SITE = "https://cleanroom-recipes.readthedocs.io/en/latest/"


def address(rule: str) -> str:
    """Return the address of what is said about a rule."""
    return f"{SITE}use/rules/#{rule}"
