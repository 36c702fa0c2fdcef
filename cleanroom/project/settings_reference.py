"""What there is to say about the settings, made from the code: a JSON Schema for editors, and the reference."""

from __future__ import annotations

import json

from cleanroom.project.settings import KEYS, NAMES, Key, Kind, Settings

ID = "https://json.schemastore.org/cleanroom.json"


def schema() -> dict[str, object]:
    """Return the JSON Schema of ``cleanroom.toml``, in the form in which SchemaStore takes schemas."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": ID,
        "title": "cleanroom",
        "description": "Settings of cleanroom, which finds what package managers leave behind in container images.",
        "type": "object",
        "properties": {key.name: {"description": key.what, **_type(key)} for key in sorted(KEYS, key=lambda k: k.name)},
        "additionalProperties": False,
    }


def _type(key: Key) -> dict[str, object]:
    text: dict[str, object] = {"type": "string", **({"enum": list(key.choices)} if key.choices else {})}
    texts: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    types: dict[Kind, dict[str, object]] = {
        Kind.TEXT: text,
        Kind.LIST: texts,
        Kind.SWITCH: {"type": "boolean"},
        Kind.TABLE: {"type": "object", "additionalProperties": text},
        Kind.LISTS: {"type": "object", "additionalProperties": texts},
    }
    return types[key.kind]


def reference() -> str:
    """Return the settings with what each says, as a ``pyproject.toml`` that may be copied."""
    lines = [f"# {key.what}{_choices(key)}\n{key.name} = {key.example}" for key in KEYS]
    places = f"{', '.join(NAMES[:-1])} (without the first line), or {NAMES[-1]}"
    return f"# In {places}.\n[tool.cleanroom]\n" + "\n".join(lines) + "\n"


def _choices(key: Key) -> str:
    return f" One of {', '.join(key.choices)}." if key.choices else ""


def in_force(settings: Settings) -> str:
    """Return settings as TOML, with where they stand."""
    lines = [f"# {settings.file}" if settings.file else "# no settings file"]
    lines += [
        f"{key.name} = {_toml(getattr(settings, key.name.replace('-', '_')), key.kind)}"
        for key in KEYS
        if key.name != "extend"
    ]
    return "\n".join(lines) + "\n"


def _toml(value: object, kind: Kind) -> str:
    if isinstance(value, tuple) and kind in (Kind.TABLE, Kind.LISTS):
        items = (f"{json.dumps(name)} = {_toml(item, Kind.LIST)}" for name, item in value)
        return f"{{ {', '.join(items)} }}" if value else "{}"
    return json.dumps(value, ensure_ascii=False)  # what JSON and TOML write alike
