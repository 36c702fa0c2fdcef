"""All recipes: by id, alias and executable; each is read when it is first asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from cleanroom.recipes.claims import claims_of
from cleanroom.recipes.model import FOLDER, Base, Caller, Claims, Program, Recipe, RecipeError, RecipeProblem
from cleanroom.suggest import did_you_mean
from cleanroom.syntax.globs import is_glob, matches

if TYPE_CHECKING:
    from typing import Any, ParamSpec, TypeAlias, TypeVar

    from cleanroom.recipes.sources import Source

    _P = ParamSpec("_P")
    _R = TypeVar("_R")
    _Entry: TypeAlias = tuple[int, Claims]  # which supply, and what its recipe goes by
    _Place: TypeAlias = tuple[str, int]  # a recipe's id, and which of its programs


BUILTIN = "built-in"


class UnknownManager(KeyError):  # noqa: N818 - public name
    """No recipe goes by this name; ``suggestions`` are names that are close."""

    def __init__(self, name: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.suggestions = suggestions


class Supply(Struct, frozen=True):
    """Recipes from one ``provider``: a plugin, a folder. ``blame`` hears what is wrong; without it that is raised."""

    provider: str
    source: Source
    blame: Callable[[str], None] | None = None


class _RefusedError(Exception):
    """A recipe turned out to be unusable, and is no longer there."""


def _as_it_is_now(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Answer again when a recipe that was needed for the answer turned out to be unusable."""

    def answer(*arguments: _P.args, **named: _P.kwargs) -> _R:
        while True:
            try:
                return method(*arguments, **named)
            except _RefusedError:
                continue

    answer.__doc__ = method.__doc__
    return answer


_BASES = 1_000  # images of which it is kept what is known


class Library:
    """Recipes and base images from several providers, and recipes added by hand. Safe to share between threads.

    Those of the first provider come from the YAML in ``folder``; without one they are those that ship. A recipe of
    ``supplies`` is validated when it is read. Of two recipes that claim the same id, alias, executable or module, the
    later is left out, unless it ``replaces`` the other. ``recipes`` are taken as they are.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        recipes: Iterable[Recipe] = (),
        supplies: Iterable[Supply] = (),
    ) -> None:
        """Raise RecipeError for what is wrong with a supply that has no ``blame``."""
        self._supplies = (Supply(BUILTIN, _source(folder)), *supplies)
        self._given = {recipe.id: recipe for recipe in recipes}
        self._refused: set[tuple[int, str]] = set()
        self._known: dict[tuple[int, str], Recipe] = {}  # by supply and id
        self._index = self._settled()
        self._bases: tuple[Base, ...] | None = None
        self._callers: dict[str, list[tuple[Recipe, Caller]]] | None = None
        self._base_cache: dict[str, Base] = {}

    @_as_it_is_now
    def find(self, name: str) -> Recipe:
        """Return the recipe with this id, alias or executable. Raises UnknownManager."""
        index = self._index
        if name in index.claims:
            return self._recipe(index, name)
        for claims in index.claims.values():
            if name in claims.aliases:
                return self._recipe(index, claims.id)
        if found := self._program(index, index.names().program(name)):
            return found[0]
        from difflib import get_close_matches

        names = sorted({name for claims in index.claims.values() for name in (claims.id, *claims.aliases)})
        raise UnknownManager(name, tuple(get_close_matches(name.lower(), names, n=3)))

    def ids(self) -> tuple[str, ...]:
        """Return which recipes there are, sorted, without reading them."""
        return tuple(self._index.claims)

    @_as_it_is_now
    def recipes(self) -> tuple[Recipe, ...]:
        """Return all recipes, sorted by id."""
        index = self._index
        return tuple(self._recipe(index, identifier) for identifier in index.claims)

    def provider(self, identifier: str) -> str:
        """Return who gives the recipe with this id: a plugin, a folder; ``built-in`` for what ships. Raises KeyError.

        A recipe that was added by hand is the ``caller``'s.
        """
        owner = self._index.owners[identifier]
        return "caller" if owner == _CALLER else self._supplies[owner].provider

    def replaced(self, identifier: str) -> str:
        """Return whose recipe the one with this id stands in for, "" when it does so for none."""
        return self._index.replaced.get(identifier, "")

    @_as_it_is_now
    def program(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose executable ``name`` (a base name) is."""
        index = self._index
        return self._program(index, index.names().program(name))

    def callers(self, name: str) -> list[tuple[Recipe, Caller]]:
        """Return the managers by way of which the program ``name`` of someone else installs."""
        if self._callers is None:
            self._callers = {}
            for recipe in self.recipes():
                for caller in recipe.callers:
                    for program in caller.names:
                        self._callers.setdefault(program, []).append((recipe, caller))
        return self._callers.get(name, [])

    @_as_it_is_now
    def module(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose Python module (``python -m NAME``) this is."""
        index = self._index
        return self._program(index, index.names().modules.get(name))

    def files(self) -> frozenset[str]:
        """Return the base names (globs) of all files that tell something of a manager."""
        return self._index.files().patterns()

    @_as_it_is_now
    def about(self, file: str) -> tuple[Recipe, ...]:
        """Return the recipes to which a file of this base name may tell something: configuration, signs."""
        index = self._index
        return tuple(self._recipe(index, identifier) for identifier in index.files().about(file))

    def base(self, image: str) -> Base:
        """Return what is known of a base image: all entries that match, later ones over earlier ones."""
        if image not in self._base_cache:
            if self._bases is None:
                self._bases = tuple(base for supply in self._supplies for base in _bases_of(supply))
            names, tag = image_names(image)
            merged: dict[str, Any] = {"images": (image,), "environment": {}, "versions": {}, "uids": {}, "files": ()}
            lean: dict[str, tuple[str, ...]] = {}
            for base in self._bases:
                if not any(matches(name, glob) for name in names for glob in base.images):
                    continue
                if base.tags and not any(matches(tag, glob) for glob in base.tags):
                    continue
                for key in ("family", "sh", "user", "home"):
                    if value := getattr(base, key):
                        merged[key] = value
                merged["environment"] |= base.environment
                merged["versions"] |= base.versions
                merged["uids"] |= base.uids
                for recipe_id, names_of_lean in base.lean.items():
                    lean[recipe_id] = (*lean.get(recipe_id, ()), *names_of_lean)
                if base.files or base.family:
                    merged["files"] = base.files or merged["files"]
            merged["environment"] = MappingProxyType(merged["environment"])
            merged["versions"] = MappingProxyType(merged["versions"])
            merged["uids"] = MappingProxyType(merged["uids"])
            merged["lean"] = MappingProxyType(lean)
            if len(self._base_cache) >= _BASES:  # a survey meets images without end
                self._base_cache.clear()
            self._base_cache[image] = Base(**merged)
        return self._base_cache[image]

    def _recipe(self, index: _Index, identifier: str) -> Recipe:
        """Return the recipe with this id. Raises _RefusedError, after which it is not there any more."""
        owner = index.owners[identifier]
        if owner == _CALLER:
            return self._given[identifier]
        if not self._is_usable(owner, identifier):
            self._index = self._settled()
            raise _RefusedError
        return self._known[owner, identifier]

    def _is_usable(self, number: int, identifier: str) -> bool:
        """Read a recipe, and tell whether that went well. Raises RecipeError where nobody wants to hear of it."""
        if (number, identifier) not in self._known:
            supply = self._supplies[number]
            try:
                self._known[number, identifier] = supply.source.recipe(identifier)
            except (ValueError, OSError) as error:
                if supply.blame is None:
                    raise
                supply.blame(in_one_line(error))
                self._refused.add((number, identifier))
                return False
        return True

    def _program(self, index: _Index, place: _Place | None) -> tuple[Recipe, Program] | None:
        if place is None:
            return None
        recipe = self._recipe(index, place[0])
        return recipe, recipe.programs[place[1]]

    def _settled(self) -> _Index:
        """Decide who gives which recipe. Raises RecipeError where nobody wants to hear that one is left out."""
        entries = [
            (number, supply.source.claims(identifier))
            for number, supply in enumerate(self._supplies)
            for identifier in supply.source.ids()
            if (number, identifier) not in self._refused
        ]
        replacements: dict[str, _Entry] = {}
        if len(self._supplies) > 1:
            # What takes another's place or names must be good for something: it is read now, others when they are used.
            entries = [entry for entry in entries if not entry[1].replaces or self._is_usable(entry[0], entry[1].id)]
            while conflict := _conflict(entries, self._supplies):
                entry, other, what = conflict
                if other is not None and not self._is_usable(other[0], other[1].id):
                    entries.remove(other)
                else:
                    self._refuse(*entry, what)
                    entries.remove(entry)
            replacements = {entry[1].replaces: entry for entry in entries if entry[1].replaces}
        index = _Index()
        for entry in entries:
            number, claims = entry
            if _is_replaced(entry, replacements):
                index.replaced[replacements[claims.id][1].id] = self._supplies[number].provider
            else:
                index.owners[claims.id] = number
                index.claims[claims.id] = claims
        for recipe in self._given.values():
            if recipe.replaces not in self._given:
                index.claims.pop(recipe.replaces, None)
            index.owners[recipe.id] = _CALLER
            index.claims[recipe.id] = claims_of(recipe)
        index.claims = dict(sorted(index.claims.items()))
        return index

    def _refuse(self, number: int, claims: Claims, what: str) -> None:
        supply = self._supplies[number]
        file = supply.source.file(claims.id)
        if supply.blame is None:
            raise RecipeError([RecipeProblem(file, 1, 1, what)])
        supply.blame(f"{file}: {what}")
        self._refused.add((number, claims.id))


_CALLER = -1  # in the place of a supply's number


class _Index:
    """Which recipe there is, whose it is, and what it goes by. Not changed once it is in use."""

    __slots__ = ("_files", "_names", "claims", "owners", "replaced")

    def __init__(self) -> None:
        self.claims: dict[str, Claims] = {}  # by id
        self.owners: dict[str, int] = {}  # by id, the numbers of supplies
        self.replaced: dict[str, str] = {}  # by id, whose recipe it stands in for
        self._names: _Names | None = None
        self._files: _Files | None = None

    def names(self) -> _Names:
        """Return whose each executable and module is."""
        if self._names is None:
            self._names = _Names(self.claims.values())
        return self._names

    def files(self) -> _Files:
        """Return which files tell something of which managers."""
        if self._files is None:
            self._files = _Files(self.claims.values())
        return self._files


class _Files:
    """Which files, by their base names, tell something of which managers."""

    __slots__ = ("_exact", "_globs")

    def __init__(self, claims: Iterable[Claims]) -> None:
        self._exact: dict[str, list[str]] = {}
        self._globs: list[tuple[str, str]] = []
        for claim in claims:
            for file in claim.files:
                if is_glob(file):
                    self._globs.append((file, claim.id))
                else:
                    self._exact.setdefault(file, []).append(claim.id)

    def patterns(self) -> frozenset[str]:
        """Return all names and globs."""
        return frozenset((*self._exact, *(pattern for pattern, _ in self._globs)))

    def about(self, file: str) -> list[str]:
        """Return the ids of the managers of which a file may tell something, sorted."""
        found = (identifier for pattern, identifier in self._globs if matches(file, pattern))
        return sorted({*self._exact.get(file, ()), *found})


class _Names:
    """Whose each executable and module is."""

    __slots__ = ("exact", "globs", "modules")

    def __init__(self, claims: Iterable[Claims]) -> None:
        self.exact: dict[str, _Place] = {}
        self.globs: list[tuple[str, _Place]] = []
        self.modules: dict[str, _Place] = {}
        for claim in claims:
            for number, (executables, modules) in enumerate(claim.programs):
                place = (claim.id, number)
                for name in executables:
                    if is_glob(name):
                        self.globs.append((name, place))
                    else:
                        self.exact[name] = place
                self.modules |= dict.fromkeys(modules, place)

    def program(self, name: str) -> _Place | None:
        """Return whose executable this is."""
        found = self.exact.get(name)
        return found or next((place for pattern, place in self.globs if matches(name, pattern)), None)


def _bases_of(supply: Supply) -> tuple[Base, ...]:
    try:
        return supply.source.bases()
    except (ValueError, OSError) as error:
        if supply.blame is None:
            raise
        supply.blame(in_one_line(error))
        return ()


def in_one_line(error: ValueError | OSError) -> str:
    """Return what is wrong with a recipe: of many problems the first."""
    if isinstance(error, OSError):
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    problems: Sequence[object] = getattr(error, "problems", (error,))
    more = f" (and {len(problems) - 1} more; cleanroom recipes validate shows them)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def _conflict(entries: Sequence[_Entry], supplies: Sequence[Supply]) -> tuple[_Entry, _Entry | None, str] | None:
    """Return the first recipe that cannot be there beside another, that other, and why."""
    replacements: dict[str, _Entry] = {}
    ids = {entry[1].id for entry in entries}
    for entry in entries:
        if not (target := entry[1].replaces):
            continue
        others = [other[1].id for other in entries if other is not entry]
        if target not in (ids if target != entry[1].id else others):
            return entry, None, f"replaces {target!r}, which is no recipe{did_you_mean(target, others)}"
        if target in replacements:
            who = supplies[replacements[target][0]].provider
            return entry, None, f"replaces {target!r}, as does a recipe of {who}, which comes first"
        replacements[target] = entry
    taken: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        if _is_replaced(entry, replacements):
            continue
        claims = entry[1]
        names = [("name", name) for name in (claims.id, *claims.aliases)]
        names += [("executable", name) for executables, _ in claims.programs for name in executables]
        names += [("Python module", name) for _, modules in claims.programs for name in modules]
        for kind, name in names:
            other = taken.setdefault((kind, name), entry)
            if other is not entry:
                theirs = f"the recipe {other[1].id} of {supplies[other[0]].provider}"
                advice = f"to stand in for that one, say replaces: {other[1].id}"
                return entry, other, f"the {kind} {name!r} is claimed by {theirs}; {advice}"
    return None


def _is_replaced(entry: _Entry, replacements: Mapping[str, _Entry]) -> bool:
    by = replacements.get(entry[1].id)
    return by is not None and by is not entry


def _source(folder: str | os.PathLike[str] | None) -> Source:
    from cleanroom.recipes.sources import Files

    return Files(FOLDER if folder is None else folder)


def image_names(image: str) -> tuple[tuple[str, ...], str]:
    """Return the names an image goes by in ``bases.yaml`` (whole, without registry, without ``library/``) and its tag.

    >>> image_names("docker.io/library/debian:12@sha256:0")
    (('docker.io/library/debian', 'library/debian', 'debian'), '12')
    """
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}{slash}{last}"
    names = [name]
    first, slash, rest = name.partition("/")
    if slash and (any(character in first for character in ".:") or first == "localhost"):
        names.append(rest)
    if names[-1].startswith("library/"):
        names.append(names[-1].removeprefix("library/"))
    return tuple(names), tag or "latest"
