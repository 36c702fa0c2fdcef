"""What holds at a place of a build: environment, user, folders, and what the files written so far set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from cleanroom.engine.argv import NewUser
from cleanroom.recipes.facts import at_home, home_of
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base
from cleanroom.syntax import dockerfile
from cleanroom.syntax.paths import UNKNOWN, absolute, covers

_OTHER_SHELLS = frozenset(("powershell", "pwsh", "cmd"))
_LONGEST_SETTINGS = 1 << 16  # characters of a file of settings


class State(Struct):
    """What holds at a place of a build: environment, user, folders, files that were written."""

    base: Base
    environment: dict[str, str | None] = field(default_factory=dict)
    arguments: dict[str, str | None] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    homes: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    settings: set[tuple[str, str]] = field(default_factory=set)  # (recipe id, cache id) prevented by configuration
    of_home: set[tuple[str, str, str]] = field(default_factory=set)  # the same, by configuration in one home
    stored: dict[tuple[str, str], str] = field(default_factory=dict)  # (recipe id, setting) -> its value
    lean: set[tuple[str, str]] = field(default_factory=set)  # (recipe id, lean id) turned on by configuration
    removed_files: set[str] = field(default_factory=set)
    copied: list[tuple[str, str]] = field(default_factory=list)  # (path in the context, path in the image)
    texts: dict[str, str] = field(default_factory=dict)  # files that the build writes itself, by path
    told: set[str] = field(default_factory=set)  # managers whose version the Dockerfile told
    shell: str = ""  # the base name of the program that SHELL names
    filled: set[str] = field(default_factory=set)  # the folders of the caches that were filled
    follows: bool = True  # whether a later RUN may take away what is written now
    asked: dict[str, tuple[int, bool]] = field(default_factory=dict)  # by path: how many were removed, and if it was

    def copy(self) -> State:
        """Return a state of its own for the stage or layer that follows."""
        return State(
            self.base,
            dict(self.environment),
            dict(self.arguments),
            self.user,
            self.workdir,
            dict(self.homes),
            dict(self.uids),
            set(self.settings),
            set(self.of_home),
            dict(self.stored),
            set(self.lean),
            set(self.removed_files),
            list(self.copied),
            dict(self.texts),
            set(self.told),
            self.shell,
            set(self.filled),
        )

    @property
    def has_posix_shell(self) -> bool:
        """Return True unless the shell that runs a RUN is known to be another kind, as PowerShell is."""
        return self.base.family != "windows" and self.shell.lower().removesuffix(".exe") not in _OTHER_SHELLS

    def expand(self, text: str, escape: str) -> str | None:
        """Return the text of an instruction with the variables replaced, None when one of them is not known."""
        return expand(text, {**self.arguments, **self.environment} if "$" in text else {}, escape)

    def uid(self) -> str:
        """Return the number of the user in force, "" when it is not known."""
        name = (self.user or self.base.user or "root").partition(":")[0]
        if name == "root" or name.isdigit():
            return "0" if name == "root" else name
        return self.uids.get(name) or self.base.uids.get(name, "")

    def is_removed(self, path: str) -> bool:
        """Return True if the build removed a file of the base image."""
        known = self.asked.get(path)
        if known is None or known[0] != len(self.removed_files):
            known = len(self.removed_files), any(covers(each, path) for each in self.removed_files)
            self.asked[path] = known
        return known[1]

    def tell_version(self, manager: str, version: str) -> None:
        """Note the version of a manager that the Dockerfile names; "" if it may differ from the base's."""
        if version:
            self.told.add(manager)
        elif manager in self.told:
            return
        self.base = replace(self.base, versions=MappingProxyType({**self.base.versions, manager: version}))

    def add_user(self, user: NewUser) -> None:
        """Note a user's home and number where they are known."""
        if user.home.startswith("/"):
            self.homes[user.name] = user.home
        if user.number.isdigit():
            self.uids[user.name] = user.number

    def home(self, user: str | None = None) -> str:
        """Return the home of the user in force, ``~`` when it is not known."""
        if user is None:
            user = self.user or self.base.user or "root"
            if home := self.environment.get("HOME"):
                return home
        name = user.partition(":")[0]
        return self.homes.get(name) or home_of(name, self.base)


def expand(text: str, values: Mapping[str, str | None], escape: str) -> str | None:
    """Return ``text`` with the variables replaced, None when one of them is not known."""
    expanded = dockerfile.expand(text, values, escape, UNKNOWN)
    return None if UNKNOWN in expanded else expanded


def configure(library: Library, state: State, path: str, text: str, home: str) -> None:
    """Note in ``state`` what the file ``path`` with this ``text`` says: caches prevented or moved, less installed."""
    if len(text) > _LONGEST_SETTINGS:
        return
    folder, _, name = path.rpartition("/")

    def is_meant(file: str) -> bool:
        if file.startswith("./"):
            return fnmatchcase(name, file[2:])
        return fnmatchcase(path, at_home(file, home))

    for recipe in library.about(name):
        for prevention in recipe.preventions:
            meant = next((file for file in prevention.files if is_meant(file)), None)
            if meant is not None and re.search(prevention.pattern, text):
                if meant.startswith("~"):
                    state.of_home.update((recipe.id, cache, home) for cache in prevention.caches)
                else:
                    state.settings.update((recipe.id, cache) for cache in prevention.caches)
        for lean in recipe.lean:
            if any(map(is_meant, lean.files)) and re.search(lean.pattern, text):
                state.lean.add((recipe.id, lean.id))
        for setting in recipe.settings:
            if any(map(is_meant, setting.files)) and (match := re.search(setting.pattern, text)):
                value = match[1].strip().strip("\"'")
                state.stored[recipe.id, setting.name] = UNKNOWN if "$" in value else absolute(value, folder)


def detect_versions(library: Library, state: State, path: str) -> None:
    """Note in ``state`` the versions that a file now at ``path`` implies."""
    name = path.rstrip("/").rpartition("/")[2]
    for recipe in library.about(name):
        for sign in recipe.signs:
            if any(fnmatchcase(name, file) for file in sign.files):
                state.tell_version(sign.of or recipe.id, sign.version)
