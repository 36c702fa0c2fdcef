"""Answers one question: which command keeps a manager's caches out, on this image, for this user."""

from __future__ import annotations

from cleanroom.facts import applies, home_of, remedy_text
from cleanroom.library import Library
from cleanroom.recipe import Recipe
from cleanroom.records import dataclass


class NoRemedy(ValueError):  # noqa: N818 - public name
    """The recipe knows no such way; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One remedy as a line of text."""

    manager: str
    kind: str
    caches: tuple[str, ...]
    text: str
    base: str
    leaves: str
    note: str


def query(
    recipe: Recipe, library: Library, *, prefer: str = "clean", cache: str = "", base: str = "", user: str = ""
) -> Answer:
    """Return the first remedy of the kind ``prefer`` that holds on the image ``base`` (else the official one).

    It covers ``cache``, or as many caches as the image keeps. Raises NoRemedy.
    """
    from cleanroom.suggest import did_you_mean

    known = [item.id for item in recipe.caches]
    if cache and cache not in known:
        raise NoRemedy(f"{recipe.id} has no cache {cache!r}{did_you_mean(cache, known)} (it has: {', '.join(known)})")
    image = base or recipe.official_image
    place = library.base(image)
    is_root = (user or place.user or "root").partition(":")[0] in ("root", "0")
    wanted = {
        item.id
        for item in recipe.caches
        if not item.minor
        and (item.id == cache or not cache)
        and (cache or item.kept_out_by_file not in place.files or not item.kept_out_by_file)
    }
    wanted = wanted or set(known)  # all it has are small, or kept out by the image
    candidates = [
        remedy
        for remedy in recipe.remedies
        if remedy.kind == prefer
        and wanted & set(remedy.caches)
        and applies(remedy.versions, remedy.bases, place, recipe.id)
    ]
    # A user who is not root gets what only root can do when there is nothing else: the build may have sudo.
    candidates = [remedy for remedy in candidates if is_root or not remedy.root_only] or candidates
    if not candidates:
        kinds = sorted({remedy.kind for remedy in recipe.remedies})
        reason = f": {recipe.without[prefer]}" if prefer in recipe.without else ""
        raise NoRemedy(
            f"{recipe.id} has no way to {prefer}{reason}; ask for another with --prefer (there are: {', '.join(kinds)})"
        )
    best = max(candidates, key=lambda remedy: len(wanted & set(remedy.caches)))
    return Answer(
        recipe.id,
        best.kind,
        best.caches,
        remedy_text(best, home_of(user or place.user or "root", place)),
        image,
        best.leaves,
        best.note,
    )
