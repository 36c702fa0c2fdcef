"""What shells complete: by what the help calls a value (``FORMAT``, ``RULE``, ``PATH`` …)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from cleanroom import registries


def _managers() -> Iterable[str]:
    return sorted(recipe.id for recipe in registries.library().recipes())


def _rules() -> Iterable[str]:
    return (*registries.RULES, *_managers())


_NAMES: Mapping[str, Callable[[], Iterable[str]]] = {
    "FORMAT": lambda: ("text", *registries.FORMATS),
    "FORMAT:FILE": lambda: (f"{name}:" for name in ("text", *registries.FORMATS)),
    "RULE": _rules,
    "MANAGER": _managers,
    "ID": _managers,
    "EXPORT": lambda: registries.EXPORTS,
    "READER": lambda: registries.READERS,
}
_FILES = {"PATH": "file", "FILE": "file", "REPORT": "file", "IMAGE": "file", "DIR": "dir"}


def prepare(command: click.Command) -> click.Command:
    """Return a command whose plain words are completed."""
    for parameter in command.params:
        named = _kind(parameter)
        if isinstance(parameter.type, click.types.StringParamType) and (named in _NAMES or named in _FILES):
            parameter.type = _Word(named)
    return command


def _kind(parameter: click.Parameter) -> str:
    name = parameter.name or ""
    if name == "reader":
        return "READER"
    if name == "form" and isinstance(parameter, click.Argument):
        return "EXPORT"
    return (getattr(parameter, "metavar", None) or name).strip("[]…").upper()


class _Word(click.types.StringParamType):
    """Text of a kind, whose values are known."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        del ctx, param
        if self._kind in _FILES:
            return [CompletionItem(incomplete, type=_FILES[self._kind])]
        before, comma, begin = incomplete.rpartition(",")  # several rules
        names = _NAMES[self._kind]()
        return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(begin)]
