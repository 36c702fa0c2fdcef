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

TYPE_CHECKING = False  # type checkers take it for true; ``typing`` itself takes long to import
if TYPE_CHECKING:
    from cleanroom.check import check
    from cleanroom.findings import Advice, Declined, Finding, Fix, Fixed, Problem, Report, Unresolved
    from cleanroom.fix import fix
    from cleanroom.library import Library
    from cleanroom.library import load as library
    from cleanroom.markers import hookimpl
    from cleanroom.recipe import Recipe

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
        ("Advice", "Declined", "Finding", "Fix", "Fixed", "Problem", "Report", "Unresolved"),
        ("cleanroom.findings", ""),
    ),
    "Library": ("cleanroom.library", ""),
    "Recipe": ("cleanroom.recipe", ""),
    "check": ("cleanroom.check", ""),
    "fix": ("cleanroom.fix", ""),
    "hookimpl": ("cleanroom.markers", ""),
    "library": ("cleanroom.library", "load"),
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
