"""Patterns in the manner of ``.gitignore``, over paths (https://git-scm.com/docs/gitignore#_pattern_format)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable


class Patterns:
    """Patterns relative to the folder ``root``, by default the current one.

    The last one that matches decides; one that begins with ``!`` takes back.
    """

    def __init__(self, patterns: Iterable[str], root: str = "") -> None:
        self._root = root or os.curdir
        self._rules = [rule for pattern in patterns if (rule := _rule(pattern))]

    def match(self, path: str, is_folder: bool) -> bool:
        """Tell whether ``path`` itself is meant; whoever walks a tree does not go into a folder that is."""
        if not self._rules:
            return False
        relative = os.path.relpath(path, self._root).replace(os.sep, "/")
        if relative == ".." or relative.startswith("../"):
            return False
        verdict = False
        for expression, folders_only, meant in self._rules:
            if (is_folder or not folders_only) and expression.fullmatch(relative):
                verdict = meant
        return verdict


def _rule(pattern: str) -> tuple[re.Pattern[str], bool, bool] | None:
    """Return the pattern as a regular expression, whether it means folders only, and what a match says."""
    pattern = re.sub(r"(?<!\\) +$", "", pattern)
    if not pattern or pattern.startswith("#"):
        return None
    meant = not pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    anywhere = "" if "/" in pattern else "(?:[^/]+/)*"
    try:
        return re.compile(anywhere + _translate(pattern.removeprefix("/")), re.DOTALL), folders_only, meant
    except re.error:  # [z-a]: matches nothing, as in git
        return None


def _translate(pattern: str) -> str:
    parts = pattern.split("/")
    expression = ""
    for part in parts[:-1]:
        expression += "(?:[^/]+/)*" if part == "**" else f"{_translate_part(part)}/"
    return expression + (".+" if parts[-1] == "**" else _translate_part(parts[-1]))


_TOKENS = re.compile(
    r"\\(?P<escaped>.)|(?P<star>\*+)|(?P<any>\?)|\[(?P<negated>[!^]?)(?P<set>\]?[^\]]*)\]|(?P<plain>.)", re.DOTALL
)


def _translate_part(part: str) -> str:
    expression = ""
    for token in _TOKENS.finditer(part):
        if token["star"]:
            expression += "[^/]*"
        elif token["any"]:
            expression += "[^/]"
        elif token["set"]:
            members = re.sub(r"([\[&|~])", r"\\\1", token["set"])
            expression += f"[^/{members}]" if token["negated"] else f"[{members}]"
        else:
            expression += re.escape(token["escaped"] or token["plain"])
    return expression
