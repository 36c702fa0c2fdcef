"""Outputs: findings and recipes, in the forms that people and other tools read."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


def when_used(module: str) -> Callable[..., Any]:
    """Return a function that calls the function ``render`` of a module, which is imported then."""

    def render(*arguments: Any, **named: Any) -> Any:
        return import_module(module).render(*arguments, **named)

    return render
