"""All recipes: by id, alias, executable, Python module and file. Told what there is; settled once, and not changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from cleanroom.recipes.model import Base, Caller, Program, Recipe, RecipeError, RecipeProblem, Use, claims
from cleanroom.suggest import did_you_mean
from cleanroom.syntax.globs import is_glob, matches

BUILTIN = "built-in"
CALLER = "caller"


class UnknownManager(KeyError):  # noqa: N818 - public name
    """No recipe has this name; ``suggestions`` are names that are close."""

    def __init__(self, name: str, suggestions: tuple[str, ...]) -> None:
        super().__init__(name)
        self.name = name
        self.suggestions = suggestions


class Supply(Struct, frozen=True):
    """Recipes and base images from one ``provider``: what ships, a plugin, a folder.

    ``blame`` hears which recipe is left out and why; without it RecipeError is raised.
    """

    provider: str
    recipes: tuple[Recipe, ...] = ()
    bases: tuple[Base, ...] = ()
    blame: Callable[[str], None] | None = None


_ASKED = 10_000  # executables of which it is kept whose they are
_MOST_BASES = 1_000  # images of which it is kept what is known


class Library:
    """Recipes and base images from several providers, and recipes added by hand. Safe to share between threads.

    Of two recipes that claim the same id, alias, executable or module, the later is left out, unless it ``replaces``
    the other. ``recipes`` are taken as they are.
    """

    def __init__(self, supplies: Iterable[Supply], recipes: Iterable[Recipe] = ()) -> None:
        """Raise RecipeError for a recipe that cannot be there beside others, of a supply that has no ``blame``."""
        supplies = tuple(supplies)
        entries, self._replaced = _settled(supplies)
        own = {recipe.id: recipe for recipe in recipes}
        for recipe in own.values():
            if recipe.replaces not in own:
                entries.pop(recipe.replaces, None)
            entries[recipe.id] = _Entry(CALLER, recipe)
        self._providers = {identifier: entry.provider for identifier, entry in entries.items()}
        self._recipes = {identifier: entries[identifier].recipe for identifier in sorted(entries)}
        self._exact: dict[str, tuple[Recipe, Program]] = {}
        self._globs: list[tuple[str, tuple[Recipe, Program]]] = []
        self._modules: dict[str, tuple[Recipe, Program]] = {}
        self._files: dict[str, list[Recipe]] = {}  # by base name or glob
        self._file_globs: list[str] = []  # those of them that are globs
        self._sourced: set[str] = set()
        self._callers: dict[str, list[tuple[Recipe, Caller]]] = {}
        for recipe in self._recipes.values():
            self._index(recipe)
        self._bases = _BaseIndex(base for supply in supplies for base in supply.bases)
        self._known_bases: dict[str, Base] = {}
        self._asked: dict[str, tuple[Recipe, Program] | None] = {}  # executables that were looked up
        self._verbs: dict[tuple[int, int], Mapping[str, frozenset[int]]] = {}  # by the ids of recipe and program

    def _index(self, recipe: Recipe) -> None:
        for program in recipe.programs:
            for name in program.names:
                if is_glob(name):
                    self._globs.append((name, (recipe, program)))
                else:
                    self._exact[name] = recipe, program
            self._modules |= dict.fromkeys(program.modules, (recipe, program))
        for caller in recipe.callers:
            for name in caller.names:
                self._callers.setdefault(name, []).append((recipe, caller))
        self._sourced.update(recipe.sourced)
        for name in _files(recipe):
            self._files.setdefault(name, []).append(recipe)
        self._file_globs = [name for name in self._files if is_glob(name)]

    def find(self, name: str) -> Recipe:
        """Return the recipe with this id, alias or executable. Raises UnknownManager."""
        if name in self._recipes:
            return self._recipes[name]
        for recipe in self._recipes.values():
            if name in recipe.aliases:
                return recipe
        if found := self.program(name):
            return found[0]
        from difflib import get_close_matches

        names = sorted({name for recipe in self._recipes.values() for name in (recipe.id, *recipe.aliases)})
        raise UnknownManager(name, tuple(get_close_matches(name.lower(), names, n=3)))

    def ids(self) -> tuple[str, ...]:
        """Return which recipes there are, sorted."""
        return tuple(self._recipes)

    def recipes(self) -> tuple[Recipe, ...]:
        """Return all recipes, sorted by id."""
        return tuple(self._recipes.values())

    def provider(self, identifier: str) -> str:
        """Return who gives the recipe with this id: a plugin, a folder; ``built-in`` for what ships. Raises KeyError.

        A recipe that was added by hand is the ``caller``'s.
        """
        return self._providers[identifier]

    def replaced(self, identifier: str) -> str:
        """Return whose recipe the one with this id stands in for, "" when it does so for none."""
        return self._replaced.get(identifier, "")

    def program(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose executable ``name`` (a base name) is."""
        if name not in self._asked:
            if len(self._asked) >= _ASKED:
                self._asked.clear()
            found = self._exact.get(name)
            self._asked[name] = found or next((owner for pattern, owner in self._globs if matches(name, pattern)), None)
        return self._asked[name]

    def callers(self, name: str) -> list[tuple[Recipe, Caller]]:
        """Return the managers by way of which the program ``name`` of someone else installs."""
        return self._callers.get(name, [])

    def is_sourced(self, script: str) -> bool:
        """Return True if a script sets a manager up in the shell that reads it, and does nothing else."""
        parts = script.split("/")
        return any("/".join(parts[start:]) in self._sourced for start in range(max(0, len(parts) - 3), len(parts)))

    def module(self, name: str) -> tuple[Recipe, Program] | None:
        """Return whose Python module (``python -m NAME``) this is."""
        return self._modules.get(name)

    def files(self) -> frozenset[str]:
        """Return the base names (globs) of all files that matter to a manager."""
        return frozenset(self._files)

    def about(self, file: str) -> tuple[Recipe, ...]:
        """Return the recipes for which a file of this base name matters, by id: configuration, version hints."""
        patterns = [file, *(glob for glob in self._file_globs if matches(file, glob))]
        found = {recipe.id: recipe for pattern in patterns for recipe in self._files.get(pattern, ())}
        return tuple(found[identifier] for identifier in sorted(found))

    def may_be(self, recipe: Recipe, program: Program, verb: str) -> frozenset[int]:
        """Return the ids of the uses of a recipe that a command line may be of, by the program and its first operand.

        A command line is asked for many uses; this table tells most of them apart at once.
        """
        key = id(recipe), id(program)
        table = self._verbs.get(key)
        if table is None:
            table = self._verbs[key] = _by_verb(recipe, program)
        return table.get(verb) or table["*"]

    def base(self, image: str) -> Base:
        """Return what is known of a base image: all entries that match, later ones over earlier ones."""
        if image not in self._known_bases:
            if len(self._known_bases) >= _MOST_BASES:  # a survey meets images without end
                self._known_bases.clear()
            self._known_bases[image] = self._bases.merged(image)
        return self._known_bases[image]


def _files(recipe: Recipe) -> set[str]:
    """Return the base names (globs) of the files that matter to a manager: configuration, version hints."""
    telling = (recipe.preventions, recipe.settings, recipe.lean, recipe.signs)
    return {file.rpartition("/")[2] for items in telling for item in items for file in item.files}


def _uses(part: object) -> Iterator[Use]:
    """Yield all uses that a recipe, or a part of one, tells of."""
    if isinstance(part, Use):
        yield part
    elif isinstance(part, (Struct, tuple)):
        inner = part if isinstance(part, tuple) else (getattr(part, name) for name in part.__struct_fields__)
        for item in inner:
            yield from _uses(item)


def _by_verb(recipe: Recipe, program: Program) -> Mapping[str, frozenset[int]]:
    """Map the first words of verbs to the ids of the uses that may be meant; ``*`` is any other word."""
    of_any: set[int] = set()
    by_word: dict[str, set[int]] = {}
    for use in _uses(recipe):
        if use.programs and not set(use.programs) & set(program.names):
            continue
        for verb in use.verbs:
            word = verb.partition(" ")[0]
            if is_glob(word):
                of_any.add(id(use))
            else:
                by_word.setdefault(word, set()).add(id(use))
    return {"*": frozenset(of_any), **{word: frozenset(ids | of_any) for word, ids in by_word.items()}}


class _BaseIndex:
    """What is known of base images, found by their names."""

    def __init__(self, bases: Iterable[Base]) -> None:
        self._bases = tuple(bases)
        self._exact: dict[str, list[int]] = {}  # by name, or a name behind ``*/``
        self._globs: dict[str, list[tuple[str, int]]] = {}  # the others by their first character, "" for a glob
        for number, base in enumerate(self._bases):
            for name in base.images:
                if is_glob(name.removeprefix("*/")):
                    first = "" if is_glob(name[0]) else name[0]
                    self._globs.setdefault(first, []).append((name, number))
                else:
                    self._exact.setdefault(name, []).append(number)

    def merged(self, image: str) -> Base:
        """Return what is known of an image: all entries that match, later ones over earlier ones."""
        names, tag = image_names(image)
        numbers: set[int] = set()
        for name in names:
            ends = (f"*/{name[place + 1 :]}" for place, character in enumerate(name) if character == "/")
            for known in (name, *ends):
                numbers.update(self._exact.get(known, ()))
            for glob, number in (*self._globs.get("", ()), *self._globs.get(name[:1], ())):
                if matches(name, glob):
                    numbers.add(number)
        merged: dict[str, Any] = {"images": (image,), "environment": {}, "versions": {}, "uids": {}, "files": ()}
        lean: dict[str, tuple[str, ...]] = {}
        for base in (self._bases[number] for number in sorted(numbers)):
            if base.tags and not any(matches(tag, glob) for glob in base.tags):
                continue
            for key in ("family", "sh", "user", "home"):
                if value := getattr(base, key):
                    merged[key] = value
            for key in ("environment", "versions", "uids"):
                merged[key] |= getattr(base, key)
            for recipe_id, names_of_lean in base.lean.items():
                lean[recipe_id] = (*lean.get(recipe_id, ()), *names_of_lean)
            if base.files or base.family:
                merged["files"] = base.files or merged["files"]
        for key in ("environment", "versions", "uids"):
            merged[key] = MappingProxyType(merged[key])
        return Base(**merged, lean=MappingProxyType(lean))


class _Entry(Struct, frozen=True):
    """A recipe and whose it is."""

    provider: str
    recipe: Recipe


def _settled(supplies: Sequence[Supply]) -> tuple[dict[str, _Entry], dict[str, str]]:
    """Return the recipes that are there, by id, and by id whose recipe each stands in for.

    Raises RecipeError where nobody wants to hear that one is left out.
    """
    entries = [_Entry(supply.provider, recipe) for supply in supplies for recipe in supply.recipes]
    replacements: dict[str, _Entry] = {}
    if len(supplies) > 1:  # what ships is without conflicts
        blame = {supply.provider: supply.blame for supply in supplies}
        while conflict := next(_conflicts(entries), None):
            entry, what = conflict
            tell = blame[entry.provider]
            if tell is None:
                raise RecipeError([RecipeProblem(entry.recipe.origin, 1, 1, what)])
            tell(f"{entry.recipe.origin}: {what}")
            entries.remove(entry)
        replacements = {entry.recipe.replaces: entry for entry in entries if entry.recipe.replaces}
    found: dict[str, _Entry] = {}
    replaced: dict[str, str] = {}
    for entry in entries:
        if _is_replaced(entry, replacements):
            replaced[replacements[entry.recipe.id].recipe.id] = entry.provider
        else:
            found[entry.recipe.id] = entry
    return found, replaced


def _conflicts(entries: Sequence[_Entry]) -> Iterator[tuple[_Entry, str]]:
    """Yield the recipes that cannot be there beside others, and why. What follows from the first, shows too."""
    replacements: dict[str, _Entry] = {}
    for entry in entries:
        if not (target := entry.recipe.replaces):
            continue
        others = [other.recipe.id for other in entries if other is not entry]
        if target not in others:
            yield entry, f"replaces {target!r}, which is no recipe{did_you_mean(target, others)}"
        elif target in replacements:
            who = replacements[target].provider
            yield entry, f"replaces {target!r}, as does a recipe of {who}, which comes first"
        else:
            replacements[target] = entry
    taken: dict[tuple[str, str], _Entry] = {}
    for entry in entries:
        if _is_replaced(entry, replacements):
            continue
        for kind, name in claims(entry.recipe):
            other = taken.setdefault((kind, name), entry)
            if other is not entry:
                theirs = f"the recipe {other.recipe.id} of {other.provider}"
                advice = f"to stand in for that one, say replaces: {other.recipe.id}"
                yield entry, f"the {kind} {name!r} is claimed by {theirs}; {advice}"


def _is_replaced(entry: _Entry, replacements: Mapping[str, _Entry]) -> bool:
    by = replacements.get(entry.recipe.id)
    return by is not None and by is not entry


def image_names(image: str) -> tuple[tuple[str, ...], str]:
    """Return the names of an image in ``bases.yaml`` (whole, without registry, without ``library/``) and its tag.

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
