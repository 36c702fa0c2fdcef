"""``cleanroom show``: a whole recipe, readable."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import click

from cleanroom.cli import lookup, recipes_option, verbose_option
from cleanroom.recipes import measurements
from cleanroom.recipes.query import answers, ranked

if TYPE_CHECKING:
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.measurements import Proved, RemedyProof
    from cleanroom.recipes.model import Cache, CachePath, Hazard, Lean, Proof, Recipe, Remedy, Setting, Use

_KINDS = {
    "clean": "Clean up, in the same RUN",
    "prevent": "Or keep it from being written",
    "mount": "Or mount a cache, which stays out of the layer",
}


@click.command()
@click.argument("manager")
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print the recipe.")
@recipes_option
@verbose_option
def command(manager: str, form: str) -> None:
    """Show all that is known about MANAGER: what it leaves where, what keeps it out, and what goes wrong."""
    from cleanroom.formats.findings.text import wants_colour

    library = lookup.library()
    recipe = lookup.manager(library, manager)
    if form == "json":
        import json

        from cleanroom.recipes.plain import plain

        click.echo(json.dumps(plain(recipe), indent=1))
        return
    colour = wants_colour(sys.stdout)
    for line in _page(recipe, library):
        # Headings begin at the margin, all else is indented.
        is_heading = bool(line) and not line.startswith(" ")
        click.echo(click.style(line, bold=True) if colour and is_heading else line, color=colour)


def _page(recipe: Recipe, library: Library) -> Iterator[str]:
    from cleanroom.formats.recipes.pages import executables

    yield f"{recipe.name}: {recipe.summary}"
    yield f"  {recipe.homepage}"
    yield f"  runs as {', '.join(executables(recipe))}"
    if (provider := library.provider(recipe.id)) != "built-in":
        replaced = library.replaced(recipe.id)
        whose = "that ships" if replaced == "built-in" else f"of {replaced}"
        instead = f", in the place of the recipe {recipe.replaces} {whose}" if replaced else ""
        yield f"  recipe of {provider}{instead}: {recipe.origin}"
    for sign in recipe.signs:
        told = [*sign.files, *([_use(sign.use)] if sign.use else [])]
        whose = f"of {sign.of} " if sign.of else ""
        what = f"version {sign.version} {whose}is" if sign.version else f"that the version {whose}may be another is"
        yield f"  {what} told by {', '.join(told)}"
    yield from _section("What it leaves", (line for cache in recipe.caches for line in _cache(cache)))
    measured = dict(zip(map(id, recipe.remedies), measurements.by_remedy(recipe), strict=True))
    said = answers(recipe, library)
    for kind, heading in _KINDS.items():
        remedies = [(remedy, measured[id(remedy)]) for remedy in ranked(recipe, said.get(kind), kind)]
        reason = [f"  there is no way to: {recipe.without[kind]}"] if kind in recipe.without else []
        yield from _section(heading, chain((line for pair in remedies for line in _remedy(*pair)), reason))
    settings = (line for setting in recipe.settings for line in _setting(setting))
    yield from _section("Settings that move a cache", settings)
    cleanups = (
        f"  {_use(cleanup.use)} empties {', '.join(cleanup.empties)}"
        + (f"; stays: {cleanup.leaves}" if cleanup.leaves else "")
        for cleanup in recipe.cleanups
    )
    yield from _section("Its own clean-up commands", cleanups)
    yield from _section("Beware", (line for hazard in recipe.hazards for line in _hazard(hazard)))
    keeps = (
        line
        for keep in recipe.keep
        for line in (f"  {keep.path}{' (the folder itself)' if keep.folder else ''}: {keep.why}", *_link(keep.source))
    )
    payload = (
        line
        for item in recipe.payload
        for line in (f"  {item.what}", *(f"    {path.path}{_where(path)}" for path in item.paths), *_link(item.source))
    )
    yield from _section("What must stay", chain(keeps, payload))
    yield from _section("What can be left out", (line for lean in recipe.lean for line in _lean(lean)))
    done = {item.proof: item for item in measurements.current(recipe).proofs}
    proofs = (line for proof in recipe.proof for line in _proof(proof, done.get(measurements.proof_id(proof))))
    yield from _section("How it is proved", proofs)
    yield from _section("Other linters", (f"  {peer}: {', '.join(rules)}" for peer, rules in recipe.peers.items()))
    yield from _section("Sources", (f"  {source}" for source in recipe.sources))


def _section(heading: str, lines: Iterator[str]) -> Iterator[str]:
    body = list(lines)
    if body:
        yield from ("", heading, *body)


def _cache(cache: Cache) -> Iterator[str]:
    from cleanroom.formats.values import size
    from cleanroom.syntax.paths import readable

    yield f"  {cache.id}: {cache.what}"
    for path in cache.paths:
        variable = f"  (with {path.with_variable})" if path.with_variable else ""
        yield f"    {readable(path.path)}{variable}{_where(path)}"
    if cache.typical:
        yield f"    about {size(cache.typical.bytes)} after {cache.typical.of}"
        yield from _link(cache.typical.source)
    if cache.used_at_start_by:
        yield "    kept where it is read whenever a container starts: CMD or ENTRYPOINT runs the manager"
    if cache.linked:
        yield f"    hard-linked with {cache.linked}: removing it frees only what nothing else links"
    if cache.kept_out_by_file:
        yield f"    emptied after each use where {cache.kept_out_by_file} exists"


def _remedy(remedy: Remedy, measured: tuple[RemedyProof, Proved] | None) -> Iterator[str]:
    if remedy.option:
        what = f"{remedy.option} on {', '.join(remedy.verbs)}" if remedy.verbs else remedy.option
    elif remedy.variable:
        what = f"ENV {remedy.variable}={remedy.value}"
    elif remedy.targets:
        sharing = f",sharing={remedy.sharing}" if remedy.sharing else ""
        what = " ".join(f"--mount=type=cache,target={target}{sharing}" for target in remedy.targets)
    else:
        what = remedy.run
    yield f"  {what}{_where(remedy)}"
    if remedy.before:
        yield f"    before it: {remedy.before}"
    for name, value in remedy.environment.items():
        yield f"    needs: ENV {name}={value}"
    if remedy.root_only:
        yield "    needs: the root user"
    if remedy.leaves:
        yield f"    stays: {remedy.leaves}"
    if remedy.note:
        yield f"    {remedy.note}"
    if measured is not None:
        from cleanroom.formats.recipes.pages import in_words

        yield f"    {in_words(*measured)}"


def _setting(setting: Setting) -> Iterator[str]:
    ways = [*setting.set_by, *(f"in {file}" for file in setting.files)]
    yield f"  {setting.name}: {', '.join(ways)}"


def _lean(lean: Lean) -> Iterator[str]:
    from cleanroom.formats.values import size

    yield f"  {lean.what} (on {', '.join(lean.use.verbs)})"
    for option in lean.options[:1]:
        yield f"    {option}"
    for name, values in list(lean.variables.items())[:1]:
        yield f"    ENV {name}={values[0]}"
    if lean.files and lean.text:
        yield f"    {lean.text} in {lean.files[0]}"
    if lean.typical:
        yield f"    saves about {size(lean.typical.bytes)} with {lean.typical.of}"
        yield from _link(lean.typical.source)
    if lean.cost:
        yield f"    the cost: {lean.cost}"
    yield from _link(lean.source)


def _proof(proof: Proof, done: Proved | None) -> Iterator[str]:
    when = f"measured {done.date}, {done.version}" if done is not None else "not yet measured"
    yield f"  on {proof.base}{', with a registry of its own' if proof.registry else ''}: {when}"
    for line in (*proof.setup, proof.install, proof.works, *([proof.again] if proof.again else [])):
        yield f"    {line}"


def _hazard(hazard: Hazard) -> Iterator[str]:
    yield f"  {hazard.what}"
    if hazard.instead:
        yield f"    instead: {hazard.instead}"
    if hazard.measured:
        yield f"    measured: {hazard.measured}"
    yield from _link(hazard.source)


def _use(use: Use) -> str:
    options = [*use.with_options]
    options += [" ".join(use.with_all_options)] if use.with_all_options else []
    options += [f"{'no' if use.operands == 'none' else 'with'} operands"] if use.operands else []
    options += [*(f"without {option}" for option in use.without_options)]
    verbs = " or ".join(use.verbs)
    return f"{verbs} ({', '.join(options)})" if options else verbs


def _where(fact: CachePath | Remedy) -> str:
    conditions = [*([f"version {fact.versions}"] if fact.versions else []), *(f"on {base}" for base in fact.bases)]
    return f"  ({', '.join(conditions)})" if conditions else ""


def _link(url: str) -> Iterator[str]:
    if url:
        yield f"    {url}"
