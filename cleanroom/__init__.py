r"""Finds what package managers leave behind in container images, and knows the command that keeps it out.

>>> import cleanroom
>>> report = cleanroom.check("FROM debian\nRUN apt-get update && apt-get install -y curl\n")
>>> [finding.rule for finding in report.findings]
['left-behind']

Names are loaded on first use, so that ``import cleanroom`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.api import check, fix, library
    from cleanroom.engine.events import Unresolved
    from cleanroom.lint.findings import Advice, Declined, Finding, Fix, Fixed, Problem, Report
    from cleanroom.plugins.hooks import hookimpl
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import Recipe
    from cleanroom.version import __version__

__all__ = [
    "Advice",
    "Declined",
    "Finding",
    "Fix",
    "Fixed",
    "Library",
    "Problem",
    "Recipe",
    "Report",
    "Unresolved",
    "__version__",
    "check",
    "fix",
    "hookimpl",
    "library",
]

_MODULES = {
    **dict.fromkeys(("check", "fix", "library"), "api"),
    "Unresolved": "engine.events",
    **dict.fromkeys(("Advice", "Declined", "Finding", "Fix", "Fixed", "Problem", "Report"), "lint.findings"),
    "hookimpl": "plugins.hooks",
    "Library": "recipes.library",
    "Recipe": "recipes.model",
    "__version__": "version",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
