"""How values are written: sizes, text that a terminal can show, Markdown."""

from __future__ import annotations

import re


def printable(text: str) -> str:
    """Return ``text`` with what a terminal would obey, or show as something else, made visible."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def size(count: int) -> str:
    """Return a number of bytes as people say it: two digits at most, decimal units."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{count} bytes"


def cell(text: str) -> str:
    """Return text that stands in a cell as it is."""
    return re.sub(r"([\\`*_<>|\[\]#@~])", r"\\\1", printable(text))


def code(text: str) -> str:
    """Return text as code that stands as it is, also in a cell."""
    text = printable(text).replace("|", "\\|")
    ticks = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # ␛, ␀ …: as wide as any other character
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
