"""Who uses a place: commands that name a cache, or a folder above or below it, and programs that are not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cleanroom.engine.assumptions import (
    ORDINARY_SCRIPTS,
    RUNNERS,
    is_installed,
    is_ordinary_target,
    script_of,
    targets,
    text_of,
)
from cleanroom.engine.calls import Call
from cleanroom.engine.events import How
from cleanroom.engine.options import SHELLS
from cleanroom.engine.removals import removes
from cleanroom.syntax.globs import is_glob
from cleanroom.syntax.paths import ANYWHERE, UNKNOWN, below, covers, plain

# They name a place without going there.
_SILENT = frozenset(("echo", "printf", "alias", "unalias", "true", "false", ":", "exit", "return", "kill", "sleep"))
_SILENT |= frozenset(("export", "declare", "typeset", "readonly", "local", "unset", "set", "shopt", "trap", "eval"))
_SILENT |= frozenset(("useradd", "adduser", "usermod", "groupadd", "rm", "su", "runuser", "read", "which", "type"))
# They want a place to be there, whatever it holds.
_BY_NAME = frozenset(("cd", "pushd", "chown", "chmod", "chgrp", "setfacl", "rmdir"))
# They make the file they name: its folder must be there.
_MAKERS = frozenset(("mkdir", "touch", "tee", "truncate", "mkfifo", "mknod"))
# Their last word is where they put something.
_WITH_FOLDER = frozenset(("tar", "bsdtar", "git", "make"))  # what they name is below the folder of -C
_PUTTERS = frozenset(("cp", "mv", "install", "ln", "rsync"))


def root_of(path: str) -> str:
    """Return the folder of a cache's path: what stands before the first part that is a glob or not known."""
    parts = path.split("/")
    fixed = next((index for index, part in enumerate(parts) if any(c in part for c in f"*?[{UNKNOWN}")), len(parts))
    return "/".join(parts[:fixed]) or "/"


def is_related(path: str, roots: Iterable[str]) -> bool:
    """Return True if a path, which may be a pattern, is one of ``roots``, or above or below one."""
    path = plain(path.partition(UNKNOWN)[0])
    if len(path) < 2:
        return False
    globs = is_glob(path) or ANYWHERE in path
    return any(below(path, root) or below(root, path) or (globs and covers(path, root)) for root in roots)


def named(call: Call, roots: Iterable[str]) -> Iterator[tuple[str, How]]:
    """Yield the words of a call that may be places, not yet resolved, and what it wants of them."""
    program = call.program
    if program in _SILENT:
        return
    folder = _folder(call)
    words = [(word, _below(folder, path)) for word in call.argv[1:] if (path := _path(word))]
    makes_parents = program == "mkdir" and any(
        word == "--parents" or (word.startswith("-") and not word.startswith("--") and "p" in word)
        for word in call.words
    )
    if makes_parents:
        return
    is_removal = program == "find" and removes(call.words)
    for number, (word, path) in enumerate(words):
        if any(character in word for character in " \n;(") and program not in SHELLS:
            text = plain(word)
            yield from ((root, How.CONTENT) for root in roots if root in text)
        elif program in _MAKERS:
            yield path.rstrip("/").rpartition("/")[0] or "/", How.EXISTS
        elif program in _PUTTERS and number == len(words) - 1 and number:
            yield path, How.PUTS
        else:
            yield path, How.EXISTS if program in _BY_NAME or is_removal else How.CONTENT


def _folder(call: Call) -> str:
    """Return the folder in which a program is told to work (``tar -C``), "" where it is told none."""
    if call.program not in _WITH_FOLDER:
        return ""
    pairs = zip(call.argv[1:], call.argv[2:], strict=False)
    return next((folder for word, folder in pairs if word in ("-C", "--directory")), "")


def _below(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder and path != folder and not path.startswith(("/", "~")) else path


def _path(word: str) -> str:
    """Return what of a word may be a path: the value of an option or an assignment, or the word itself."""
    if word.startswith("-") or ("=" in word and "/" not in word.partition("=")[0]):
        word = word.partition("=")[2] if "=" in word else word[word.find("/") :] if "/" in word else ""
    if word.startswith("file://"):
        word = word[len("file://") :]
    return "" if "://" in word else word


def unseen(call: Call) -> str:
    """Return what a call runs that is not seen, "" where by our assumptions it runs nothing that installs or reads."""
    program, words = call.program, call.words
    if program in RUNNERS:
        odd = next((target for target in targets(words) if not is_ordinary_target(target)), "")
        return f"{program} {odd}" if odd else ""
    if script := script_of(program, words):
        return "" if _is_ordinary(script) or (is_installed(script) and "/" in script) else script
    if "/" in call.name and not is_installed(call.name) and not _is_ordinary(call.name):
        return call.name
    return ""


def _is_ordinary(name: str) -> bool:
    return name.rpartition("/")[2] in ORDINARY_SCRIPTS


def program_text(call: Call) -> str:
    """Return the text that an interpreter is given on its command line."""
    return "\n".join(text_of(call.program, call.words).values())
