"""Programs and builtins of the shell that run no other command: one function for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cleanroom.engine.argv import new_user
from cleanroom.engine.calls import Call
from cleanroom.engine.effects import Effects
from cleanroom.engine.events import Copied
from cleanroom.engine.removals import by_rm, few, is_forced
from cleanroom.syntax.paths import UNKNOWN, plain


def _cd(effects: Effects, call: Call) -> None:
    target = next((word for word in call.argv[1:] if not word.startswith("-")), "~")
    effects.process.cwd = plain(effects.resolve(target))


def _declare(effects: Effects, call: Call) -> None:
    process, words = effects.process, call.words
    exports = call.program == "export" or "-x" in words
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            process.assign(name, None if value == UNKNOWN else value)
        if exports:
            process.exported.add(name)


def _unset(effects: Effects, call: Call) -> None:
    words = call.words
    for word in words:
        if "-f" in words[:1]:
            effects.process.functions.pop(word, None)
        else:
            effects.process.variables.pop(word, None)


def _set(effects: Effects, call: Call) -> None:
    words = call.words
    if words[:1] == ["-a"] or words[:2] == ["-o", "allexport"]:
        effects.process.allexport = True
    elif words[:1] == ["+a"] or words[:2] == ["+o", "allexport"]:
        effects.process.allexport = False


def _add_user(effects: Effects, call: Call) -> None:
    if added := new_user(call.words):
        effects.state.add_user(added)


def _rm(effects: Effects, call: Call) -> None:
    patterns, recursive = by_rm(call.argv[1:], effects.resolve)
    effects.remove(patterns, call.span, call.guards, recursive=recursive, forced=is_forced(call.words))
    effects.state.removed_files.update(map(plain, patterns))


def _copy(effects: Effects, call: Call) -> None:
    taken = few(effects.resolve(word) for word in call.argv[1:] if not word.startswith("-"))
    effects.emit(Copied(taken, call.span, 0))
    if call.program == "mv":
        effects.state.removed_files.update(map(plain, taken[:-1]))


def _unlink(effects: Effects, call: Call) -> None:
    effects.state.removed_files.update(plain(effects.resolve(word)) for word in call.argv[1:])


def _truncate(effects: Effects, call: Call) -> None:
    """Note the files that are emptied."""
    if "0" in call.words or "--size=0" in call.words or "-s0" in call.words:
        _unlink(effects, call)


def _sed(effects: Effects, call: Call) -> None:
    """Note the files that ``sed -i`` changes: what they say then is not known."""
    if any(word.startswith(("-i", "--in-place")) for word in call.words):
        _unlink(effects, call)


def _tee(effects: Effects, call: Call) -> None:
    """Note the files that ``tee`` writes where its text is a here-document; of a pipe see ``pipeline``."""
    if call.node is None or not any(redirect.body is not None for redirect in call.node.redirects):
        return
    write_by_tee(effects, call, effects.printed(call.node))


def write_by_tee(effects: Effects, call: Call, text: str | None) -> None:
    """Note the files that ``tee`` writes."""
    words = call.words
    for target in words:
        if not target.startswith("-"):
            effects.write(target, text, append="-a" in words or "--append" in words)


# They change the shell that runs them.
BUILTINS: Mapping[str, Callable[[Effects, Call], None]] = {
    "cd": _cd,
    "pushd": _cd,
    "export": _declare,
    "declare": _declare,
    "typeset": _declare,
    "readonly": _declare,
    "local": _declare,
    "unset": _unset,
    "set": _set,
}
PROGRAMS: Mapping[str, Callable[[Effects, Call], None]] = {
    "useradd": _add_user,
    "adduser": _add_user,
    "rm": _rm,
    "cp": _copy,
    "mv": _copy,
    "unlink": _unlink,
    "truncate": _truncate,
    "sed": _sed,
    "install": _copy,
    "tee": _tee,
}
