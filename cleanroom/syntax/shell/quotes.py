"""What a word says once its quotes are gone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cleanroom.syntax.shell.grammar import ANSI_C, expansion_end
from cleanroom.syntax.shell.nodes import Word
from cleanroom.syntax.text import MappedText

BACKTICK_ESCAPE = re.compile(r"\\[`\\$]")
_SIMPLE_ESCAPES = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True))
ANSI_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c(.)|(.))", re.DOTALL
)


def unquoted(word: Word, script: MappedText) -> MappedText:
    """Return the characters of ``word`` after quote removal, with their file offsets; expansions stay as written.

    It is what ``sh -c WORD`` reads as its script. ``script`` is the text that the word was parsed from.
    """
    text, indices = script.text[word.start : word.end], list(range(word.start, word.end))
    while text != word.raw and (match := BACKTICK_ESCAPE.search(text)):
        # The word stands in backticks, which take away a backslash each.
        kept = [at for at in range(len(text)) if at not in {m.start() for m in BACKTICK_ESCAPE.finditer(text)}]
        text, indices = "".join(text[at] for at in kept), [indices[at] for at in kept]
    pieces: list[tuple[str, int]] = []

    def keep(start: int, end: int) -> int:
        pieces.extend((text[at], script.offset(indices[at])) for at in range(start, end))
        return end

    at = 0
    double = False
    while at < len(text):
        character = text[at]
        following = text[at + 1 : at + 2]
        if character == "\\" and following:
            if following == "\n":
                at += 2
            elif double and following not in '$`"\\':
                at = keep(at, at + 2)
            else:
                at = keep(at + 1, at + 2)
        elif character == '"':
            double = not double
            at += 1
        elif character == "'" and not double:
            at = keep(at + 1, text.index("'", at + 1)) + 1
        elif character == "$" and following == "'" and not double and (match := ANSI_C.match(text, at)):
            for start, said in _ansi_pieces(text, at + 2, match.end() - 1):
                pieces.extend((each, script.offset(indices[start])) for each in said)
            at = match.end()
        elif character == "$" and following == '"' and not double:
            at += 1
        elif (
            character == "`"
            or (character == "$" and following in {"(", "{"})
            or (character in "<>" and following == "(" and not double)
        ):
            at = keep(at, expansion_end(text, at))
        else:
            at = keep(at, at + 1)
    return MappedText(pieces)


def _ansi_pieces(text: str, at: int, end: int) -> Iterator[tuple[int, str]]:
    """Yield what stands between the quotes of ``$'…'``, character by character or escape, with where it begins."""
    while at < end:
        escape = ANSI_ESCAPE.match(text, at)
        yield at, ansi_escape(escape) if escape else text[at]
        at = escape.end() if escape else at + 1


def ansi_escape(match: re.Match[str]) -> str:
    """Return what an escape in ``$'…'`` stands for (bash manual, "ANSI-C Quoting")."""
    octal, short, unicode, long, control, other = match.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    digits = short or unicode or long
    if digits:
        number = int(digits, 16)
        return chr(number) if number <= 0x10FFFF else "\ufffd"
    if control:
        return chr(ord(control) & 0x1F)
    if other in _SIMPLE_ESCAPES:
        return _SIMPLE_ESCAPES[other]
    return other if other in "\\'\"?" else f"\\{other}"
