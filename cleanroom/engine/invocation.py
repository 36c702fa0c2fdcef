"""What one command line of a manager does, by its recipe: the caches it fills and empties, the settings it changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from cleanroom.engine.argv import matches, starts_with
from cleanroom.engine.events import Clean, Event, Fill, Guards, Installed, Optional, Packages, Required, Used
from cleanroom.engine.options import has_option
from cleanroom.engine.state import State
from cleanroom.recipes.facts import Context, cache_paths
from cleanroom.recipes.model import Cache, Lean, Payload, Prevention, Program, Recipe, Use
from cleanroom.syntax.globs import is_glob
from cleanroom.syntax.paths import UNKNOWN, absolute
from cleanroom.syntax.text import Span


class Invocation(Struct, frozen=True):
    """A command line of a manager, and what it runs with."""

    recipe: Recipe
    program: Program
    operands: list[str]  # the verb first
    options: list[str]
    environment: Mapping[str, str | None]
    home: str
    user: str
    folder: str  # where it works
    state: State
    hidden_options: bool  # a variable that has no value, and by its name holds options, is among its words
    may_be: frozenset[int]  # the ids of the uses that it may be of, by its verb

    @property
    def verb(self) -> str:
        """Its subcommand, "" if it has none."""
        return self.operands[0] if self.operands else ""

    def uses(self, use: Use) -> bool | None:
        """Return True if it is of this use; None when it depends on a version that is not known."""
        if id(use) not in self.may_be:
            return False
        stored = self.state.stored
        if any((self.recipe.id, name) not in stored for name in use.with_settings):
            return False
        if any((self.recipe.id, name) in stored for name in use.without_settings):
            return False
        if use.with_variables and not self.sets(use.with_variables):
            return False
        return matches(use, self.recipe, self.program, self.operands, self.options, self.state.base)

    def sets(self, variables: Mapping[str, tuple[str, ...]]) -> bool:
        """Return True if one of the variables has one of its values (any, where none is named), or may have it."""
        for name, values in variables.items():
            value = self.environment.get(name, self.state.base.environment.get(name, ""))
            if value is None or UNKNOWN in value or (value and (not values or value.lower() in values)):
                return True
        return False

    def has(self, option: str) -> bool:
        """Return True if it has this option."""
        return has_option(self.options, option, single_dash=self.program.single_dash)

    def places(self, cache: Cache | Payload) -> tuple[str, ...]:
        """Return where a cache or payload lies for it, or may lie."""
        context = Context(
            base=self.state.base,
            home=self.home,
            environment=self.environment,
            options=self.options,
            folder=self.folder,
            stored=self.state.stored,
            user=self.user,
        )
        return cache_paths(self.recipe, cache, context)

    def given(self, setting: str) -> str | None:
        """Return the value that it gives to a setting (``config set cache-dir``), None where it gives none."""
        line = " ".join(self.operands)
        return line[len(setting) :].strip(" =") if line.startswith(setting) else None


def change_settings(invocation: Invocation) -> None:
    """Note in the state what the command line settles for those after it: versions, moved caches, prevented ones."""
    recipe, state = invocation.recipe, invocation.state
    for sign in recipe.signs:
        if sign.use and invocation.uses(sign.use):
            state.tell_version(sign.of or recipe.id, sign.version)
    for setting in recipe.settings:
        for value in map(invocation.given, setting.set_by):
            if value:
                state.stored[recipe.id, setting.name] = absolute(value, invocation.folder)
        if setting.option and (not setting.programs or set(setting.programs) & set(invocation.program.names)):
            for option in invocation.options:
                name, _, value = option.partition("=")
                if name == setting.option and value:
                    state.stored[recipe.id, setting.name] = absolute(value, invocation.folder)
        if any(invocation.given(words) is not None for words in setting.unset_by):
            state.stored.pop((recipe.id, setting.name), None)
    for prevention in recipe.preventions:
        value = invocation.given(prevention.setting) if prevention.setting else None
        if value is None or (prevention.values and value.lower() not in prevention.values):
            continue
        if invocation.has("--global") or invocation.has("-g"):
            state.settings.update((recipe.id, cache) for cache in prevention.caches)
        state.of_home.update((recipe.id, cache, invocation.home) for cache in prevention.caches)


def prevented(invocation: Invocation) -> dict[str, str]:
    """Map each cache id to what keeps it empty: an option, a variable, a file; ``?`` where something may."""
    recipe, state = invocation.recipe, invocation.state
    found: dict[str, str] = {}
    for prevention in recipe.preventions:
        if by := _prevented_by(prevention, invocation):
            for cache_id in prevention.caches:
                found.setdefault(cache_id, by)
    for name in (*(cache.id for cache in recipe.caches), *(payload.id for payload in recipe.payload)):
        if (recipe.id, name) in state.settings or (recipe.id, name, invocation.home) in state.of_home:
            found.setdefault(name, "its configuration")
    for cache in recipe.caches:
        if cache.kept_out_by_file and not state.is_removed(cache.kept_out_by_file):
            found.setdefault(cache.id, cache.kept_out_by_file)
    return found


def _prevented_by(prevention: Prevention, invocation: Invocation) -> str:
    asked = prevention.use is None or invocation.uses(prevention.use)
    if prevention.option:
        if asked and invocation.has(prevention.option):
            return prevention.option
        return "?" if invocation.hidden_options else ""
    if prevention.variable and asked:
        value = invocation.environment.get(prevention.variable, "")
        if value is None or UNKNOWN in value:
            return "?"
        if value and (not prevention.values or value.lower() in prevention.values):
            return f"{prevention.variable}={value}"
    return ""


def events(
    invocation: Invocation, before: Sequence[Event], span: Span, guards: Guards, *, sudo: bool
) -> Iterator[Event]:
    """Yield what the command line does; ``before`` are the events of the RUN so far.

    Their order is 0, and is for the caller to set. A surplus among ``before`` that it takes out again is marked.
    """
    recipe, uses = invocation.recipe, invocation.uses
    if invocation.has("--help"):  # prints it and does nothing else, whatever the manager
        yield Used(recipe, invocation.verb, 0, span)
        return
    kept_out = prevented(invocation)
    yield from _cleans(invocation, kept_out, span, guards)
    offline = set(works_offline(invocation))
    for cache in recipe.caches:
        if cache.id in offline or any(uses(use) is not False for use in cache.needed_by):
            yield Required(recipe, cache, 0, span, guards, sudo)
    fills = list(_fills(invocation, kept_out, span, guards, sudo=sudo))
    yield from fills
    for payload in recipe.payload:
        answers = [uses(use) for use in payload.made_by]
        if payload.id not in kept_out and any(answer is not False for answer in answers):
            yield Installed(recipe, payload, invocation.places(payload), span, 0, certain=any(answers))
    if not fills:
        yield Used(recipe, invocation.verb, 0, span)
    for lean in recipe.lean:
        if any(uses(use) for use in lean.removed_by):
            for event in before:
                if isinstance(event, Optional) and event.lean is lean:
                    event.removed = True
        if uses(lean.use) and not _is_lean(lean, invocation):
            yield Optional(recipe, lean, span, guards, 0)


def packages(invocation: Invocation, order: int, span: Span, guards: Guards) -> Iterator[Packages]:
    """Yield the packages that the command line installs or takes away."""
    recipe, uses = invocation.recipe, invocation.uses
    known = recipe.packages
    surplus = tuple([lean.what for lean in recipe.lean for use in lean.removed_by if uses(use)])
    if surplus:
        yield Packages(recipe, surplus, False, "", span, guards, order)
    if known is None:
        return
    scope = known.scope_options[0] if any(map(invocation.has, known.scope_options)) else ""
    if use := next((use for use in known.installed_by if uses(use)), None):
        options = (option.partition("=") for option in invocation.options)
        groups = [value for name, _, value in options if name in known.group_options]
        names = groups or _package_names(invocation, use)
        yield Packages(recipe, tuple(names), True, scope, span, guards, order)
    elif use := next((use for use in known.removed_by if uses(use)), None):
        yield Packages(recipe, tuple(_package_names(invocation, use)), False, scope, span, guards, order)
    elif any(uses(use) for use in known.undone_by):
        yield Packages(recipe, (LAST,), False, scope, span, guards, order)


LAST = ""  # in place of a name: all that was installed last
_VERSIONED = re.compile(r"(?<=.)(?:[=<>~!:;\[]|@(?=.)).*")


def _package_names(invocation: Invocation, use: Use) -> list[str]:
    """Return the packages that the operands behind the verb name, without their versions."""
    verbs = [verb.split() for verb in use.verbs if starts_with(invocation.operands, verb)]
    words = invocation.operands[max(map(len, verbs), default=1) :]
    names = [_VERSIONED.sub("", word) for word in words if UNKNOWN not in word]
    return [name for name in names if name and not is_glob(name) and "/" not in name.lstrip("@").partition("/")[2]]


def _cleans(invocation: Invocation, kept_out: Mapping[str, str], span: Span, guards: Guards) -> Iterator[Clean]:
    """Yield the clean-up that the command line is, if it is one."""
    recipe, uses = invocation.recipe, invocation.uses
    cleaned = [cleanup for cleanup in recipe.cleanups if uses(cleanup.use) is not False]
    hazards = tuple(
        hazard
        for hazard in recipe.hazards
        if hazard.use is not None
        and uses(hazard.use)
        and all(kept_out.get(cache, "?") != "?" for cache in hazard.when_prevented)
    )
    if cleaned or hazards:
        empties = {cache_id for cleanup in cleaned for cache_id in cleanup.empties}
        paths = {cache.id: invocation.places(cache) for cache in recipe.caches if cache.id in empties}
        yield Clean(recipe, paths, hazards, span, guards, 0)


def _fills(
    invocation: Invocation, kept_out: Mapping[str, str], span: Span, guards: Guards, *, sudo: bool
) -> Iterator[Fill]:
    """Yield a fill for each cache that the command line puts bytes into, or would if nothing kept them out."""
    recipe = invocation.recipe
    for cache in recipe.caches:
        if matching := [use for use in cache.filled_by if invocation.uses(use)]:
            places = invocation.places(cache)
            by = kept_out.get(cache.id, "")
            if not by and places and all(path.startswith("/dev/") for path in places):
                by = places[0]  # the build engine mounts /dev, so that it is in no layer
            tops_up = all(use.tops_up for use in matching)
            prefetch = any(starts_with(invocation.operands, verb) for verb in recipe.prefetches)
            user = invocation.user.partition(":")[0]
            yield Fill(recipe, cache, places, span, guards, 0, invocation.verb, by, sudo, tops_up, prefetch, user)


def _is_lean(lean: Lean, invocation: Invocation) -> bool:
    """Return True if the command line, its environment or a configuration leaves out what ``lean`` is about."""
    recipe, state = invocation.recipe, invocation.state
    if any(map(invocation.has, lean.options)):
        return True
    for name, wanted in lean.variables.items():
        value = invocation.environment.get(name, "")
        if value is None or UNKNOWN in value or value.lower() in wanted:
            return True
    return lean.id in state.base.lean.get(recipe.id, ()) or (recipe.id, lean.id) in state.lean


def works_offline(invocation: Invocation) -> Iterator[str]:
    """Yield the ids of the caches that the command line needs because its options keep it off the network."""
    recipe = invocation.recipe
    for offline in recipe.offline:
        if offline.programs and not set(offline.programs) & set(invocation.program.names):
            continue
        if offline.verbs:
            verbs: Iterable[str] = offline.verbs
        else:
            caches = [cache for cache in recipe.caches if cache.id in offline.caches]
            verbs = {verb for cache in caches for use in cache.filled_by for verb in use.verbs}
        meant = any(starts_with(invocation.operands, verb) for verb in verbs)
        if meant and (any(map(invocation.has, offline.options)) or invocation.sets(offline.variables)):
            yield from offline.caches


def reads_at_start(invocation: Invocation) -> Iterator[tuple[str, str]]:
    """Yield recipe id and cache id of what the command line reads where it starts a container."""
    for cache in invocation.recipe.caches:
        if any(invocation.uses(use) for use in cache.used_at_start_by):
            yield invocation.recipe.id, cache.id
