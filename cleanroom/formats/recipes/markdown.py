"""The recipes as pages in Markdown: ``index.md`` by manager and by path, ``managers/ID.md`` for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cleanroom.formats.recipes.pages import KINDS, by_name, executables, ways
from cleanroom.formats.values import cell, code, size
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Recipe
from cleanroom.syntax.paths import readable


def render(library: Library) -> Mapping[str, str]:
    """Return the pages by their paths."""
    pages = {f"managers/{recipe.id}.md": "\n".join(_page(recipe, library)) for recipe in library.recipes()}
    return {"index.md": "\n".join(_index(library)), **pages}


def _index(library: Library) -> Iterator[str]:
    yield "# What package managers leave behind\n"
    yield "| manager | installs | the command that cleans up, in the same RUN |"
    yield "|---|---|---|"
    paths: list[tuple[str, Recipe]] = []
    for recipe in by_name(library):
        best = next((code(way.text) for way in ways(recipe, library) if way.kind == "clean"), "nothing")
        yield f"| [{recipe.name}](managers/{recipe.id}.md) | {cell(recipe.summary)} | {best} |"
        paths += [(path.path, recipe) for cache in recipe.caches for path in cache.paths]
    yield "\n## By path\n"
    yield "| path | manager |"
    yield "|---|---|"
    for path, recipe in sorted(paths, key=lambda pair: (pair[0].lower(), pair[1].id)):
        yield f"| {code(path)} | [{recipe.name}](managers/{recipe.id}.md) |"
    yield ""


def _page(recipe: Recipe, library: Library) -> Iterator[str]:
    yield f"# {recipe.name}\n"
    yield f"{recipe.summary}. <{recipe.homepage}>. Runs as {', '.join(map(code, executables(recipe)))}."
    yield "\n## What it leaves\n"
    yield "| cache | what | where | about |"
    yield "|---|---|---|---|"
    for cache in recipe.caches:
        places = "<br>".join(code(readable(path.path)) for path in cache.paths)
        about = f"{size(cache.typical.bytes)} after {cell(cache.typical.of)}" if cache.typical else ""
        yield f"| {cache.id} | {cell(cache.what)} | {places} | {about} |"
    found = list(ways(recipe, library))
    for kind, heading in KINDS.items():
        if some := [way for way in found if way.kind == kind]:
            yield f"\n## {heading}\n"
            for way in some:
                notes = f" ({cell('; '.join(way.notes))})" if way.notes else ""
                notes += f". {cell(way.proof[:1].upper() + way.proof[1:])}" if way.proof else ""
                yield f"- {code(way.text)}: {', '.join(way.caches)}{notes}"
        elif reason := recipe.without.get(kind):
            yield f"\n## {heading}\n\nThere is no way to: {cell(reason)}."
    if recipe.hazards:
        yield "\n## Beware\n"
        for hazard in recipe.hazards:
            instead = f" Instead: {code(hazard.instead)}." if hazard.instead else ""
            source = f" [Source]({hazard.source})" if hazard.source else ""
            measured = f" Measured: {cell(hazard.measured)}." if hazard.measured else ""
            yield f"- {cell(hazard.what)}.{instead}{measured}{source}"
    if recipe.keep:
        yield "\n## What must stay\n"
        for keep in recipe.keep:
            source = f" [Source]({keep.source})" if keep.source else ""
            yield f"- {code(keep.path)}: {cell(keep.why)}{source}"
    if recipe.lean:
        yield "\n## What could be left out\n"
        for lean in recipe.lean:
            how = [*lean.options, *(f"{name}={values[0]}" for name, values in lean.variables.items())][:1]
            less = f"; {size(lean.typical.bytes)} less after {cell(lean.typical.of)}" if lean.typical else ""
            cost = f" Cost: {cell(lean.cost)}." if lean.cost else ""
            yield f"- {cell(lean.what)}{': ' + code(how[0]) if how else ''}{less}.{cost}"
    if recipe.peers:
        yield "\n## Rules of other linters for the same\n"
        yield "| linter | rules |"
        yield "|---|---|"
        for peer, rules in recipe.peers.items():
            yield f"| {peer} | {', '.join(map(code, rules))} |"
    yield "\n## Sources\n"
    for source in recipe.sources:
        yield f"- <{source}>"
    yield ""
