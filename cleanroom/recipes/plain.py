"""Records as plain data, as JSON and YAML have it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import asdict


def plain(value: object) -> object:
    """Return a record, and all within it, as mappings and lists; fields that are empty are left out."""
    if isinstance(value, Struct):
        return {name: plain(item) for name, item in asdict(value).items() if item not in ("", None, (), {}, False)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value
