"""Patterns that are compiled when they are first used."""

import importlib
import pkgutil
import re
import sys
from types import ModuleType

import cleanroom
from cleanroom.syntax.regex import _Later, regex


def test_it_does_what_a_compiled_pattern_does() -> None:
    found = regex("(?P<name>a+)b", re.IGNORECASE)
    match = found.fullmatch("AAb")
    assert match is not None
    assert match["name"] == "AA"
    assert found.sub(r"\g<name>", "aab") == "aa"
    assert (found.pattern, found.flags & re.IGNORECASE) == ("(?P<name>a+)b", re.IGNORECASE)


def modules() -> list[ModuleType]:
    for module in pkgutil.walk_packages(cleanroom.__path__, "cleanroom."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError:  # of an extra that is not installed
                continue
    return [module for name, module in sys.modules.items() if name.startswith("cleanroom.")]


def test_all_are_valid() -> None:
    later = {id(value): value for module in modules() for value in vars(module).values() if isinstance(value, _Later)}
    assert len(later) > 40
    for value in later.values():
        re.compile(value.pattern, value.flags)
