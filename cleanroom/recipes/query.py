"""Answers one question: which command keeps a manager's caches out, on this image, for this user."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from cleanroom.recipes.facts import applies, by_sudo, home_of, remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Recipe, Remedy

KINDS = ("clean", "prevent", "mount")
_FIRST_UID = "1000"  # of the first user who is added, on Debian, Alpine, Fedora and what is built on them


class NoRemedy(ValueError):  # noqa: N818 - public name
    """The recipe knows no such way; the message says which there are."""


class Answer(Struct, frozen=True):
    """One remedy as a line of text."""

    manager: str
    kind: str
    caches: tuple[str, ...]
    text: str
    base: str
    leaves: str
    note: str
    before: str  # a command that it needs before the first install
    environment: Mapping[str, str]  # what it needs set by ENV
    remedy: Remedy  # that it is

    def notes(self) -> list[str]:
        """Return what to know about it, a line each: what it needs, and what it does not do."""
        needs = [f"ENV {name}={value}" for name, value in self.environment.items()]
        lines = [f"needs before it: {need}" for need in [*needs, *([self.before] if self.before else [])]]
        return [*lines, f"note: {self.note}"] if self.note else lines


def query(
    recipe: Recipe, library: Library, *, prefer: str = "clean", cache: str = "", base: str = "", user: str = ""
) -> Answer:
    """Return the first remedy of the kind ``prefer`` that holds on the image ``base`` (else the official one).

    It covers ``cache``, or as many caches as the image keeps. Raises NoRemedy.
    """
    image = base or recipe.official_image
    place = library.base(image)
    name = (user or place.user or "root").partition(":")[0]
    name = next((known for known, uid in place.uids.items() if uid == name), name)
    is_root = name in ("root", "0")
    wanted = _wanted(recipe, cache, place)
    candidates = _candidates(recipe, prefer, wanted, place)
    # What only root can do is for another user when there is nothing else: by sudo, as the install was.
    candidates = [remedy for remedy in candidates if is_root or not remedy.root_only] or candidates
    best = max(candidates, key=lambda remedy: len(wanted & set(remedy.caches)))
    is_by_sudo = best.root_only and not is_root
    home = home_of(name, place)
    notes = [best.note] if best.note else []
    uid = ""
    if best.kind == "mount" and not (is_root or is_by_sudo):
        if home == "~" and any(target.startswith("~") for target in best.targets):
            raise NoRemedy(f"where the home of user {name} is on {image} is not known; name the user in words")
        uid = place.uids.get(name) or (name if name.isdigit() else "")
        if not uid:
            uid = _FIRST_UID
            notes.append(f"uid={uid} is that of the first user who is added: ask `id -u {name}` whether it is {name}'s")
    text = remedy_text(best, home, uid)
    return Answer(
        recipe.id,
        best.kind,
        best.caches,
        by_sudo(text) if is_by_sudo and best.run else text,
        image,
        best.leaves,
        "; ".join(notes),
        best.before,
        {key: home + value[1:] if value.startswith("~/") else value for key, value in best.environment.items()},
        best,
    )


def _wanted(recipe: Recipe, cache: str, place: Base) -> set[str]:
    """Return the caches that are asked for: the one, or all that the image keeps. Raises NoRemedy."""
    from cleanroom.suggest import did_you_mean

    known = [item.id for item in recipe.caches]
    if cache in known:
        return {cache}
    if cache:
        raise NoRemedy(f"{recipe.id} has no cache {cache!r}{did_you_mean(cache, known)} (it has: {', '.join(known)})")
    large = {
        item.id
        for item in recipe.caches
        if not item.minor and not (item.kept_out_by_file and item.kept_out_by_file in place.files)
    }
    return large or set(known)  # all it has are small, or kept out by the image


def _candidates(recipe: Recipe, kind: str, wanted: set[str], place: Base) -> list[Remedy]:
    """Return the remedies of a kind that hold on an image and empty something that is wanted. Raises NoRemedy."""
    if not recipe.caches:
        raise NoRemedy(f"{recipe.id} leaves nothing to {kind}: {recipe.without[kind]}")
    found = [
        remedy
        for remedy in recipe.remedies
        if remedy.kind == kind
        and wanted & set(remedy.caches)
        and applies(remedy.versions, remedy.bases, place, recipe.id)
    ]
    if not found:
        kinds = ", ".join(sorted({remedy.kind for remedy in recipe.remedies}))
        reason = f": {recipe.without[kind]}" if kind in recipe.without else ""
        raise NoRemedy(f"{recipe.id} has no way to {kind}{reason}; ask for another with --prefer (there are: {kinds})")
    return found


def answers(recipe: Recipe, library: Library) -> Mapping[str, Answer]:
    """Return what ``query`` says for the official image and its own user, by kind of remedy; none where there is none.

    Pages, tables, ``show`` and exports show this first, so that all of them say the same.
    """
    found = {}
    for kind in KINDS:
        try:
            found[kind] = query(recipe, library, prefer=kind)
        except NoRemedy:
            continue
    return found


def ranked(recipe: Recipe, answer: Answer | None, kind: str) -> list[Remedy]:
    """Return the remedies of a kind, that of the answer first, then as the recipe has them."""
    remedies = [remedy for remedy in recipe.remedies if remedy.kind == kind]
    return remedies if answer is None else [answer.remedy, *(item for item in remedies if item is not answer.remedy)]
