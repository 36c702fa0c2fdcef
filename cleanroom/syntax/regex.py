"""Regular expressions that are compiled when they are first used: a small file needs few, and compiling takes time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Later:
    """Stands for a pattern; its methods become those of the compiled one, one by one, as they are asked for."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._made = pattern, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._made), name)
        setattr(self, name, value)
        return value


def regex(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what ``re.compile`` does, for ``text`` that is a valid pattern; it is compiled when it is first used."""
    later: Any = _Later(text, flags)
    return later  # type: ignore[no-any-return]
