r"""Finds what package managers leave behind in container images, and knows the command that keeps it out.

>>> import cleanroom
>>> report = cleanroom.check("FROM debian\nRUN apt-get update && apt-get install -y curl\n")
>>> [finding.rule for finding in report.findings]
['left-behind']

Names are loaded on first use, so that ``import cleanroom`` costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleanroom.engine.events import Unresolved
    from cleanroom.lint.check import check
    from cleanroom.lint.findings import Advice, Declined, Finding, Fix, Fixed, Problem, Report
    from cleanroom.lint.fix import fix
    from cleanroom.plugins.markers import hookimpl
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.library import load as library
    from cleanroom.recipes.model import Recipe

__version__ = "0.1.0"

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

_HOMES = {
    **dict.fromkeys(
        ("Advice", "Declined", "Finding", "Fix", "Fixed", "Problem", "Report"),
        ("cleanroom.lint.findings", ""),
    ),
    "Unresolved": ("cleanroom.engine.events", ""),
    "Library": ("cleanroom.recipes.library", ""),
    "Recipe": ("cleanroom.recipes.model", ""),
    "check": ("cleanroom.lint.check", ""),
    "fix": ("cleanroom.lint.fix", ""),
    "hookimpl": ("cleanroom.plugins.markers", ""),
    "library": ("cleanroom.recipes.library", "load"),
}


class _Package(ModuleType):
    """The package: ``cleanroom.check`` is the function, also after the module of that name was imported."""

    def __getattr__(self, name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, attribute = _HOMES[name]
        value = getattr(import_module(module), attribute or name)
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds each submodule it loads to its name here.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *__all__})


sys.modules[__name__].__class__ = _Package
