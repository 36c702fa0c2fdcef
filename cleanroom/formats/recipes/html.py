"""The recipes as a site: pages that work from a folder, without a server and without outside requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from cleanroom.formats.findings.text import size
from cleanroom.formats.recipes.pages import KINDS, Way, by_name, executables, ways
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Cache, Recipe
from cleanroom.syntax.paths import readable


def render(library: Library) -> Mapping[str, str]:
    """Return the pages by their paths."""
    pages = {}
    rows = []
    for recipe in by_name(library):
        found = list(ways(recipe, library))
        pages[f"managers/{recipe.id}.html"] = _document(
            f"{recipe.name}: what it leaves behind", "".join(_page(recipe, found)), "../index.html"
        )
        best = next((way.text for way in found if way.kind == "clean"), found[0].text if found else "")
        rows.append((recipe, best))
    return {"index.html": _document("What package managers leave behind", "".join(_index(rows)), ""), **pages}


def _index(rows: list[tuple[Recipe, str]]) -> Iterator[str]:
    yield "<h1>What package managers leave behind</h1>"
    yield "<p>Each fills caches that nothing in a container needs at run time. What keeps them out of an image:</p>"
    yield (
        '<p><label>Search <input id="search" type="search" autofocus placeholder="pip, /var/cache, yarn …"></label> '
        '<span id="count" role="status"></span></p>'
    )
    yield '<div class="wide"><table id="managers"><thead>'
    yield "<tr><th>Manager<th>Installs<th>Clean up in the same RUN</tr></thead><tbody>"
    for recipe, best in rows:
        words = " ".join([recipe.id, recipe.name, recipe.summary, *recipe.aliases, *executables(recipe)]).lower()
        yield (
            f'<tr data-words="{escape(words)}"><td><a href="managers/{recipe.id}.html">'
            f"{escape(recipe.name)}</a><td>{escape(recipe.summary)}<td>{_command(best)}</tr>"
        )
    yield "</tbody></table></div><h2>By path</h2>"
    yield '<div class="wide"><table id="paths"><thead><tr><th>Path<th>Manager<th>What</tr></thead><tbody>'
    places = [(path.path, recipe, cache) for recipe, _ in rows for cache in recipe.caches for path in cache.paths]
    for path, recipe, cache in sorted(places, key=lambda place: (place[0].lower(), place[1].id)):
        words = f"{path} {recipe.id} {recipe.name} {cache.what}".lower()
        yield (
            f'<tr data-words="{escape(words)}"><td><code>{escape(path)}</code>'
            f'<td><a href="managers/{recipe.id}.html">{escape(recipe.name)}</a><td>{escape(cache.what)}</tr>'
        )
    yield "</tbody></table></div>"


def _page(recipe: Recipe, found: list[Way]) -> Iterator[str]:
    yield f"<h1>{escape(recipe.name)}</h1><p>{escape(recipe.summary)}. {_link(recipe.homepage)}. Runs as "
    yield ", ".join(f"<code>{escape(name)}</code>" for name in executables(recipe)) + ".</p>"
    for kind, heading in KINDS.items():
        some = [way for way in found if way.kind == kind]
        if some:
            yield f"<h2>{heading}</h2>"
        for way in some:
            yield f'<div class="way">{_command(way.text)}<small>{escape(", ".join(way.caches))}'
            yield f"{escape('; ' + '; '.join(way.notes)) if way.notes else ''}"
            yield f"{escape('; ' + way.proof) if way.proof else ''}</small></div>"
        if reason := recipe.without.get(kind):
            yield f"<h2>{heading}</h2><p>There is no way to: {escape(reason)}.</p>"
    yield "<h2>What it leaves</h2>"
    largest = max((cache.typical.bytes for cache in recipe.caches if cache.typical), default=0)
    for cache in recipe.caches:
        yield _cache(cache, largest)
    if recipe.hazards:
        yield "<h2>Beware</h2><ul>"
        for hazard in recipe.hazards:
            instead = f" Instead: <code>{escape(hazard.instead)}</code>." if hazard.instead else ""
            measured = f" Measured: {escape(hazard.measured)}." if hazard.measured else ""
            source = f" {_link(hazard.source, 'Source')}" if hazard.source else ""
            yield f"<li>{escape(hazard.what)}.{instead}{measured}{source}</li>"
        yield "</ul>"
    if recipe.keep:
        yield "<h2>What must stay</h2><ul>"
        for keep in recipe.keep:
            source = f" {_link(keep.source, 'Source')}" if keep.source else ""
            yield f"<li><code>{escape(keep.path)}</code>: {escape(keep.why)}{source}</li>"
        yield "</ul>"
    if recipe.lean:
        yield "<h2>What could be left out</h2><ul>"
        for lean in recipe.lean:
            how = [*lean.options, *(f"{name}={values[0]}" for name, values in lean.variables.items())][:1]
            less = f"; {size(lean.typical.bytes)} less after {escape(lean.typical.of)}" if lean.typical else ""
            option = f": <code>{escape(how[0])}</code>" if how else ""
            yield f"<li>{escape(lean.what)}{option}{less}. {escape(lean.cost)}.</li>"
        yield "</ul>"
    if recipe.peers:
        yield '<h2>Rules of other linters for the same</h2><div class="wide"><table>'
        for peer, rules in recipe.peers.items():
            yield f"<tr><td>{escape(peer)}<td>{escape(', '.join(rules))}</tr>"
        yield "</table></div>"
    yield "<h2>Sources</h2><ul>"
    yield "".join(f"<li>{_link(source)}</li>" for source in recipe.sources)
    yield "</ul>"


def _cache(cache: Cache, largest: int) -> str:
    paths = ", ".join(f"<code>{escape(readable(path.path))}</code>" for path in cache.paths)
    bar = ""
    if cache.typical and largest:
        share = max(1.0, 100 * cache.typical.bytes / largest)
        bar = (
            f'<div class="bar"><span style="width:{share:.1f}%"></span></div>'
            f"<small>about {size(cache.typical.bytes)} after {escape(cache.typical.of)}</small>"
        )
    return f"<p><strong>{escape(cache.id)}</strong>: {escape(cache.what)}<br>{paths}</p>{bar}"


def _command(text: str) -> str:
    if not text:
        return ""
    return f'<span class="command"><code>{escape(text)}</code><button type="button" title="Copy">copy</button></span>'


def _link(url: str, text: str = "") -> str:
    return f'<a href="{escape(url)}" rel="noreferrer">{escape(text or url)}</a>'


def _document(title: str, body: str, home: str) -> str:
    back = f'<p><a href="{home}">All managers</a></p>' if home else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head><body>{back}{body}\n<script>{_SCRIPT}</script></body></html>\n"
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2833; --paper: #fdfefe; --line: #d5d8dc; --soft: #eef1f3; --bar: #c0392b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eaecee; --paper: #17202a; --line: #34495e; --soft: #212f3d; --bar: #e57368; } a { color: #85c1e9; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 60rem; padding: 1rem; }
code, li, small { overflow-wrap: anywhere; } td code { overflow-wrap: break-word; } th, button { white-space: nowrap; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
code { background: var(--soft); padding: .1rem .3rem; border-radius: .2rem; font-size: .9em; }
.way { margin: .6rem 0; } .way small, .bar + small { display: block; opacity: .8; }
.command { display: inline-flex; gap: .4rem; align-items: baseline; max-width: 100%; }
button { font: inherit; font-size: .75rem; cursor: pointer; }
input { font: inherit; padding: .3rem; width: min(20rem, 60vw); }
.bar { background: var(--soft); height: .6rem; max-width: 30rem; }
.bar span { display: block; height: 100%; background: var(--bar); }
@media (max-width: 40rem) {
  .wide thead { display: none; } .wide tr:not([hidden]), .wide td { display: block; }
  .wide td { border: 0; padding: 0; } td code { overflow-wrap: anywhere; }
  .wide tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
}
"""

_SCRIPT = """
document.addEventListener("click", async event => {
  const button = event.target.closest("button[title=Copy]");
  if (!button) return;
  const code = button.previousElementSibling;
  try { await navigator.clipboard.writeText(code.textContent); }
  catch { const range = document.createRange(); range.selectNode(code);
    getSelection().removeAllRanges(); getSelection().addRange(range); document.execCommand("copy"); }
  button.textContent = "copied"; setTimeout(() => { button.textContent = "copy"; }, 1500);
});
const search = document.getElementById("search");
if (search) {
  const show = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const count = {managers: 0, paths: 0};
    for (const row of document.querySelectorAll("tr[data-words]")) {
      row.hidden = !words.every(word => row.dataset.words.includes(word));
      if (!row.hidden) count[row.closest("table").id] += 1;
    }
    const found = `${count.managers} by name, ${count.paths} by path`;
    document.getElementById("count").textContent = words.length ? found : "";
  };
  search.addEventListener("input", show);
  addEventListener("pageshow", show);  // after the browser has put back what was searched for
}
"""
