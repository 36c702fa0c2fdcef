"""The reference of hooks, made from their docstrings: as a page in Markdown, and as examples that can be run."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from textwrap import indent

from msgspec import Struct

from cleanroom import hookspecs, registries
from cleanroom.cli import COMMANDS
from cleanroom.plugins.entry_points import GROUP

HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(f"{GROUP}_"))

_INTRODUCTION = """# Hooks

What a plugin can add. A plugin is a module that an entry point of the group `cleanroom` names:

```toml
[project.entry-points.cleanroom]
zap = "cleanroom_zap"
```

It has functions of the names below, marked with `@cleanroom.hookimpl`. Each takes nothing and yields objects; what
ships with cleanroom comes through the same functions. Of two things with one name, the first plugin's stays, by
distribution and name. `cleanroom plugins new NAME` writes a plugin that adds a package manager; the
[tutorial](tutorial.md) goes on from there. Every example here is a whole plugin, and is run by our tests.

`cleanroom plugins hooks --format markdown` writes this page from the docstrings.
"""


class Part(Struct, frozen=True):
    """A paragraph, or an example: ``kind`` is text, python or console."""

    kind: str
    text: str


def parts(hook: str) -> Iterator[Part]:
    """Yield what the docstring of a hook says, in order."""
    lines = (inspect.getdoc(getattr(hookspecs, hook)) or "").split("\n")
    number = 0
    while number < len(lines):
        is_code = lines[number].startswith("    ")
        block = []
        while number < len(lines) and (not lines[number] or lines[number].startswith("    ") == is_code):
            block.append(lines[number])
            number += 1
        text = "\n".join(line[4:] if is_code else line for line in block).strip("\n")
        if text and is_code:
            yield Part("console" if text.startswith("$ ") else "python", text)
        elif text:
            yield Part("text", text)


def summary(hook: str) -> str:
    """Return the first sentence of the docstring of a hook."""
    return next(parts(hook)).text.partition("\n\n")[0].replace("\n", " ").removesuffix("::")


def text(hook: str) -> str:
    """Return what the docstring of a hook says, for a terminal."""
    said = (part.text.replace("::", ":") if part.kind == "text" else indent(part.text, "    ") for part in parts(hook))
    return f"{hook}\n\n" + "\n\n".join(said)


def markdown() -> str:
    """Return the page."""
    pieces = [_INTRODUCTION]
    for hook in HOOKS:
        pieces.append(f"## `{hook}`\n")
        for part in parts(hook):
            if part.kind == "text":
                pieces.append(part.text.replace("``", "`").replace("`::", "`:").replace("::", ":") + "\n")
            else:
                pieces.append(f"```{part.kind}\n{part.text}\n```\n")
        pieces += [f"```python\n{inspect.getsource(kind).strip()}\n```\n" for kind in _kinds(hook)]
    return "\n".join(pieces)


def _kinds(hook: str) -> list[type]:
    """Return the types of ours that a hook yields."""
    kinds = next((registry.kinds for registry in (*registries.ALL, COMMANDS) if registry.hook == hook), ())
    return [kind for kind in kinds if kind.__module__.startswith("cleanroom.")]
