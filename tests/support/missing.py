"""What a script names and what it misses: by its text, and by what the shell and coreutils say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cleanroom.syntax import shell
from cleanroom.syntax.paths import absolute
from cleanroom.syntax.text import MappedText

BUILTIN = frozenset(
    (
        ".",
        ":",
        "[",
        "alias",
        "bg",
        "break",
        "cd",
        "command",
        "continue",
        "declare",
        "echo",
        "eval",
        "exec",
        "exit",
        "export",
    )
) | frozenset(
    (
        "false",
        "fg",
        "getopts",
        "hash",
        "jobs",
        "let",
        "local",
        "printf",
        "pwd",
        "read",
        "readonly",
        "return",
        "set",
        "shift",
    )
)
BUILTIN |= frozenset(
    (
        "shopt",
        "source",
        "test",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "wait",
    )
)
BUILTIN |= frozenset(
    (
        "kill",
        "if",
        "then",
        "else",
        "fi",
        "for",
        "do",
        "done",
        "while",
        "until",
        "case",
        "esac",
        "in",
        "function",
        "time",
    )
)
BUILTIN |= frozenset(("{", "}", "!", "[[", "]]", "sh", "bash", "dash"))


def program_names(text: str) -> Iterator[str]:
    """Yield what may be the name of a program in a script: first words of commands, and those behind wrappers."""
    try:
        tree = shell.parse(MappedText([(text, 0)]))
    except shell.ShellError:
        yield from re.findall(r"(?:^|[;&|(]|\$\()\s*([\w./+-]+)", text)
        return
    for _, command in shell.commands(tree):
        for number, word in enumerate(command.words):
            literal = word.literal
            if literal is None:
                continue
            is_name = number == 0 or (
                not literal.startswith("/") and re.fullmatch(r"[a-z][\w.+-]*", literal) and number < 6
            )
            if is_name and (number == 0 or _is_wrapper(command.words[0].literal)):
                yield literal
            elif re.search(r"\s", literal):
                yield from program_names(literal)


def folders(text: str, start: str) -> Iterator[str]:
    """Yield the folders that a script enters one after the other, where their names stand in it."""
    try:
        tree = shell.parse(MappedText([(text, 0)]))
    except shell.ShellError:
        return
    folder = start
    for _, command in shell.commands(tree):
        words = [word.literal for word in command.words]
        if words[:1] in (["cd"], ["pushd"]) and len(words) > 1 and words[1]:
            folder = absolute(words[1], folder)
            yield folder


def _is_wrapper(word: str | None) -> bool:
    name = (word or "").rpartition("/")[2]
    return name in (
        "sudo",
        "env",
        "xargs",
        "nice",
        "timeout",
        "gosu",
        "su-exec",
        "exec",
        "command",
        "time",
        "find",
        "nohup",
        "su",
        "runuser",
        "fakeroot",
        "retry",
        "eatmydata",
        "stdbuf",
        "xvfb-run",
        "busybox",
        "chroot",
        "yes",
        "tini",
    )


_MESSAGES = (
    (r"cannot (?:stat|access|open|touch|read|chown|chmod) '(.+?)'(?: for reading)?: No such file", "file"),
    (r"cannot (?:stat|access) '(.+?)': Not a directory", "file"),
    (r"failed to access '(.+?)'", "folder"),
    (r"cannot remove '(.+?)': No such file", "file"),
    (r"cannot create (?:regular file|directory|symbolic link) '(.+?)/[^/]*': No such file", "folder"),
    (r"failed to create symbolic link '(.+?)/[^/']*': No such file", "folder"),
    (r"cannot move .* to '(.+?)/[^/]*': No such file", "folder"),
    (r"target '(.+?)/?'(?: is not a directory|: No such file)", "folder"),
    (r"cannot create (.+)/[^/]*: Directory nonexistent", "folder"),
    (r"line \d+: (\S+)/[^/\s]+: No such file or directory", "folder"),
    (r"can't cd to (\S+)", "folder"),
    (r"cd: (\S+): (?:No such file|Not a directory)", "folder"),
    (r"find: '(.+?)': No such file", "folder"),
    (r"\w+: can't read (\S+): No such file", "file"),
    (r"(?:cannot|can't) open '?([^\s':]+)", "file"),
    (
        r"(?m)^(?:/\.sim/bin/)?(?:cat|grep|egrep|head|tail|sed|sort|wc|source|diff|/bin/bash): ([^\s:]+): No such file",
        "file",
    ),
    (r": \d+: (\S+): (?:not found|Permission denied)", "program"),
    (r"(?m)^(?:.*: )?(\S+): command not found", "program"),
    (r"line \d+: (\S+): (?:No such file|Is a directory|Permission denied|cannot execute)", "program"),
    (r"(?m)^(\S+): not found$", "program"),
    (r"env: '(.+?)': (?:No such file|Permission denied)", "program"),
    (r"(?m)^(/\S+): (?:No such file or directory|Permission denied)$", "program"),
    (r"invalid (?:user|group|spec): '(.+?)'", "user"),
)


def missing(output: str, places: list[str]) -> Iterator[tuple[str, str]]:
    """Yield which files, folders, programs and users a script missed, by what it wrote to its standard error."""
    output = output.translate({0x2018: "'", 0x2019: "'"})
    for pattern, kind in _MESSAGES:
        for name in dict.fromkeys(re.findall(pattern, output)):
            if kind == "user":
                yield from ((part, kind) for part in re.split("[:.]", name) if part and not part.isdigit())
            elif kind == "program" and "/" not in name:
                yield name, "name"
            elif not set(name) & set("*?") and ".sim" not in name:
                for folder in dict.fromkeys(places[-1:] if name.startswith("/") else places[-5:]):
                    yield absolute(name, folder).rstrip("/"), kind
