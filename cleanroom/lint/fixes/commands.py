"""Fixes for commands that are there: clean-ups that fail, miss or take too much, mounts that are kept from working."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from cleanroom.engine.events import Clean, Copied, Fill, Remove, Required
from cleanroom.engine.ledger import Layer, Ledger
from cleanroom.lint.findings import Finding, Fix
from cleanroom.lint.fixes import left_behind, remedies
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.fixes.remedies import Plan
from cleanroom.lint.fixes.script import Link, Place, Script
from cleanroom.lint.fixes.uses import followers, in_layer, taken_by
from cleanroom.lint.rules.over_cleaned import removes
from cleanroom.recipes.facts import at_home
from cleanroom.recipes.model import Hazard, Keep, Recipe, Remedy
from cleanroom.syntax import shell
from cleanroom.syntax.globs import matches
from cleanroom.syntax.paths import ANYWHERE, below
from cleanroom.syntax.text import Edit, Span


def _layer(ledger: Ledger, finding: Finding) -> Layer:
    for stage in ledger.stages:
        for layer in stage.layers:
            if layer.instruction.line == finding.instruction_line:
                return layer
    raise DeclinedError("it is in no RUN")


def _done(plan: Plan) -> Fix:
    return Fix(not plan.why, plan.title, tuple(sorted(plan.edits)), plan.why)


def written(event: Clean | Remove | Fill) -> shell.Command:
    """Return the command of an event. Raises DeclinedError when it does not stand in the RUN."""
    if event.command is None:
        raise DeclinedError("the command does not stand in the file as it runs")
    return event.command


def drop(site: Site, event: Clean | Remove) -> Edit:
    """Return the edit that takes a command away. Raises DeclinedError."""
    command = written(event)
    script = site.script()
    place = script.locate(command.span)
    if event.nested or place is None or script.link(place).span != command.span:
        raise DeclinedError("the command stands within another one")
    if place == script.last and place == Place(0, 0) and not script.document:
        return left_behind.without_instruction(site)
    edit = script.drop(place)
    if edit is None:
        raise DeclinedError("without the command, the RUN could end otherwise than it does")
    return edit


def operands(command: shell.Command, event: Remove) -> list[tuple[shell.Word, str]]:
    """Return the operands of an ``rm`` with the patterns they are. Raises DeclinedError when that is not one to one."""
    index = next((index for index, word in enumerate(command.words) if word.raw.rpartition("/")[2] == "rm"), None)
    words = [] if index is None else [word for word in command.words[index + 1 :] if not word.raw.startswith("-")]
    if not words or len(words) != len(event.patterns):
        raise DeclinedError("the command is put together at run time")
    return list(zip(words, event.patterns, strict=True))


def without_operands(site: Site, event: Remove, dropped: list[shell.Word]) -> list[Edit]:
    """Return the edits that take operands from an ``rm``, or all of it when none is left."""
    command = written(event)
    if len(dropped) == len(event.patterns):
        return [drop(site, event)]
    edits = []
    for word in dropped:
        before = command.words[command.words.index(word) - 1]
        edits.append(Edit(Span(before.span.end, word.span.end), ""))
    return edits


# -- cleanup-fails -----------------------------------------------------------------------------------------------------


def cleanup_fails(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Write the command that does what was meant, or drop one that has nothing to do. Raises DeclinedError."""
    del prefer, unsafe
    site = Site(ledger, _layer(ledger, finding))
    event, hazard = next(
        (
            (event, hazard)
            for event in site.layer.events
            if isinstance(event, Clean) and event.span == finding.span and event.recipe.id == finding.manager
            for hazard in event.hazards
            if hazard.what == finding.message
        ),
        (None, None),
    )
    if event is None or hazard is None:
        raise DeclinedError(f"the command is not in this {ledger.dockerfile.run}")
    if hazard.instead:
        return _replace(site, event, hazard)
    if hazard.when_prevented:
        return Fix(True, "drop the command: there is nothing to clean", (drop(site, event),))
    raise DeclinedError(f"the recipe of {finding.manager} knows no command that does it")


def _replace(site: Site, event: Clean, hazard: Hazard) -> Fix:
    recipe = event.recipe
    command = written(event)
    if site.is_array:
        raise DeclinedError("the RUN is in exec form (a JSON array)")
    cleaning = remedies.read_cleaning(hazard.instead, recipe)
    start = _program_index(command, recipe)
    words = command.words[start:]
    if any(word.literal is None for word in words) or any(
        words[0].span.start < redirect.span.start < words[-1].span.end for redirect in command.redirects
    ):
        raise DeclinedError("the command is put together at run time")
    first = cleaning.commands[0]
    text = hazard.instead
    called = words[0].raw.rpartition("/")[2]
    if len(cleaning.commands) == 1 and any({called, first[0]} <= set(program.names) for program in recipe.programs):
        text = " ".join((words[0].raw, *first[1:]))
    in_string = event.nested or site.layer.instruction.exec_form is not None
    if in_string and not re.fullmatch(r"[\w /.*~-]+", text):
        raise DeclinedError("the command stands in a text of its own")
    plan = Plan(f"write {text} instead", [Edit(Span(words[0].span.start, words[-1].span.end), text)], cleaning.why)
    events = remedies.simulate(site, [text])
    plan.taken = taken_by(site.ledger, site.layer, events, event.order)
    for user in in_layer(site.ledger, plan.taken, after=event.order):
        raise DeclinedError(user.reason)
    remedy = next((remedy for remedy in recipe.remedies if remedy.run == hazard.instead), None)
    left_behind.provide(site, plan, remedy or Remedy(kind="clean", caches=()))
    return _done(plan)


def _program_index(command: shell.Command, recipe: Recipe) -> int:
    """Return the index of the word that calls the manager: its own program, or the Python that runs its module."""
    for index, word in enumerate(command.words):
        name = (word.literal or "").rpartition("/")[2]
        if index > 1 and command.words[index - 1].raw == "-m":
            return index - 2
        if any(matches(name, pattern) for program in recipe.programs for pattern in program.names):
            return index
    raise DeclinedError("the command is put together at run time")


# -- mounts ------------------------------------------------------------------------------------------------------------


def is_inside(path: str, targets: Iterable[str]) -> bool:
    """Return True if what a pattern names is one of the folders ``targets``, or in one."""
    return any(below(path.removesuffix("/*"), target) for target in targets)


def mount_emptied(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Drop what empties the mount. Raises DeclinedError."""
    del prefer, unsafe
    site = Site(ledger, _layer(ledger, finding))
    targets = [mount.target for mount in site.layer.mounts if mount.kind == "cache"]
    event = next(
        (event for event in site.layer.events if isinstance(event, (Clean, Remove)) and event.span == finding.span),
        None,
    )
    if isinstance(event, Clean):
        others = [path for paths in event.paths.values() for path in paths if not is_inside(path, targets)]
        if others:
            raise DeclinedError(f"it also empties {others[0]}, which is in no mount")
        return Fix(True, "drop the command", (drop(site, event),))
    if not isinstance(event, Remove):
        raise DeclinedError(f"the command is not in this {ledger.dockerfile.run}")
    words = operands(written(event), event)
    inside = [word for word, pattern in words if is_inside(pattern, targets)]
    if not inside:
        raise DeclinedError("it removes more than what is in the mount")
    title = "drop the command" if len(inside) == len(words) else f"drop {' '.join(word.raw for word in inside)}"
    return Fix(True, title, tuple(sorted(without_operands(site, event, inside))))


def mount_defeated(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Drop the option that forbids the cache, or the file that empties it. Raises DeclinedError."""
    del prefer, unsafe
    site = Site(ledger, _layer(ledger, finding))
    fills = [
        event
        for event in site.layer.events
        if isinstance(event, Fill) and event.recipe.id == finding.manager and event.prevented not in ("", "?")
    ]
    first = next((fill for fill in fills if fill.span == finding.span), None)
    if first is None:
        raise DeclinedError(f"the command is not in this {ledger.dockerfile.run}")
    if first.prevented.startswith("-"):
        return Fix(
            True,
            f"drop {first.prevented}",
            tuple(sorted({without_option(site, fill) for fill in fills if fill.prevented.startswith("-")})),
        )
    if first.prevented == first.cache.kept_out_by_file:
        file = first.prevented
        return Fix(True, f"remove {file} first", (without_file(site, first, file),))
    name = first.prevented.partition("=")[0]
    if (edit := without_assignment(first, name)) is not None:
        return Fix(True, f"drop {first.prevented}", (edit,))
    raise DeclinedError(f"{first.prevented} holds for other lines too")


def without_assignment(fill: Fill, name: str) -> Edit | None:
    """Return the edit that drops a variable which is set for one command alone, None where it is not."""
    command = fill.command
    for assignment in command.assignments if command is not None and command.words else ():
        if command is not None and assignment.name == name:
            spans = [item.span for item in command.assignments] + [word.span for word in command.words]
            following = min(span.start for span in spans if span.start > assignment.span.start)
            return Edit(Span(assignment.span.start, following), "")
    return None


def without_option(site: Site, fill: Fill) -> Edit:
    """Return the edit that drops the option which forbids a cache. Raises DeclinedError."""
    if site.is_array:
        raise DeclinedError("the RUN is in exec form (a JSON array)")
    command = written(fill)
    for index, word in enumerate(command.words):
        if index and word.literal == fill.prevented:
            return Edit(Span(command.words[index - 1].span.end, word.span.end), "")
    raise DeclinedError(f"{fill.prevented} is put together from parts")


def without_file(site: Site, fill: Fill, file: str, mounted: Collection[int] = ()) -> Edit:
    """Return the edit that removes the file of the base which empties the cache after each use. Raises DeclinedError.

    ``mounted`` are the RUNs, by where they start, that are about to have the mount.
    """
    caches = {cache.id: cache for cache in fill.recipe.caches if cache.kept_out_by_file == file}
    layers = [site.layer, *(layer for layers in followers(site.ledger, site.layer) for layer in layers)]
    for layer in layers:
        for event in layer.events:
            if (
                isinstance(event, Fill)
                and event.recipe.id == fill.recipe.id
                and event.cache.id in caches
                and layer.instruction.span.start not in mounted
                and layer.mount(event.paths) is None
            ):
                line = site.ledger.source.position(event.span.start)[0]
                raise DeclinedError(f"line {line} needs {file}: it has no mount on {', '.join(event.paths)}")
    if site.is_root() is False:
        raise DeclinedError(f"only root can remove {file}, and the user of this {site.run} is {site.layer.user}")
    first = min(
        site.place(event)
        for event in site.layer.events
        if isinstance(event, Fill) and event.recipe.id == fill.recipe.id
    )
    edit = site.script().lead(first, f"rm -f {file}")
    if edit is None:
        raise DeclinedError("no command can be put before the first that fills it")
    return edit


# -- over-cleaned ------------------------------------------------------------------------------------------------------


def over_cleaned(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Take from an ``rm`` what must stay. Raises DeclinedError."""
    del prefer, unsafe
    site = Site(ledger, _layer(ledger, finding))
    event = next(
        (event for event in site.layer.events if isinstance(event, Remove) and event.span == finding.span), None
    )
    keep = next(
        (
            keep
            for other in site.ledger.stages
            for layer in other.layers
            for item in layer.events
            if not isinstance(item, (Remove, Copied)) and item.recipe.id == finding.manager
            for keep in item.recipe.keep
            if finding.paths == (keep.path,)
        ),
        None,
    )
    if event is None and keep is not None:
        return _narrowed(site, finding.manager, keep)
    if event is None:
        raise DeclinedError(f"the command is not in this {ledger.dockerfile.run}")
    if keep is None:
        raise DeclinedError("what else in that folder may go is for the author to tell")
    if any(f"/{ANYWHERE}/" in pattern for pattern in event.patterns):
        raise DeclinedError("which folders find must leave out is for the author to write")
    words = operands(written(event), event)
    hit = [(word, pattern) for word, pattern in words if removes(pattern, keep, recursive=event.recursive)]
    if keep.folder and all(pattern.rstrip("/") == keep.path for _, pattern in hit):
        edits = []
        for word, _ in hit:
            if not re.fullmatch(r"[\w./~-]+", word.raw):
                raise DeclinedError("the path is put together from parts")
            edits.append(Edit(Span(word.span.end, word.span.end), "*" if word.raw.endswith("/") else "/*"))
        return Fix(True, f"empty {keep.path} and leave the folder", tuple(sorted(edits)))
    dropped = [word for word, _ in hit]
    title = f"do not remove {' '.join(word.raw for word in dropped)}"
    return Fix(True, title, tuple(sorted(without_operands(site, event, dropped))))


def _narrowed(site: Site, manager: str, keep: Keep) -> Fix:
    """Mount the folder of the cache alone instead of one above it, which holds more. Raises DeclinedError."""
    path = at_home(keep.path, site.layer.home)
    remedies_of = site.ledger.library.find(manager).remedies
    places = {at_home(target, site.layer.home) for remedy in remedies_of for target in remedy.targets}
    for flag in site.layer.instruction.flags:
        value = flag.value or ""
        match = re.search(r"(?:^|,)(?:target|dst|destination)=([^,]+)", value)
        if flag.name != "mount" or match is None or not below(path, match[1].rstrip("/")):
            continue
        inside = [place for place in places if below(place, match[1].rstrip("/"))]
        if len(inside) == 1 and not any(mount.target == inside[0] for mount in site.layer.mounts):
            text = flag.text.replace(f"={match[1]}", f"={inside[0]}", 1)
            return Fix(True, f"mount {inside[0]} alone", (Edit(flag.span, text),))
    raise DeclinedError("which folder to mount instead is for the author to tell")


# -- split-installs ----------------------------------------------------------------------------------------------------

# What one command leaves behind in the shell for those after it.
_LASTING = frozenset(
    (".", "alias", "cd", "declare", "eval", "exec", "exit", "export", "hash", "local", "popd", "pushd", "read")
) | frozenset(
    ("readonly", "return", "set", "shopt", "source", "trap", "typeset", "ulimit", "umask", "unalias", "unset")
)


def split_installs(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Join a RUN to the one above. Raises DeclinedError."""
    del prefer, unsafe
    below_it = Site(ledger, _layer(ledger, finding))
    stage = ledger.stages[below_it.layer.stage]
    position = next(index for index, layer in enumerate(stage.layers) if layer is below_it.layer)
    above = Site(ledger, stage.layers[position - 1])
    return Fix(
        False,
        f"join it to the RUN on line {above.line}",
        join_runs(above, below_it),
        "two layers become one, which is built anew when either changes",
    )


def join_runs(above: Site, below_it: Site, *, last: bool = False) -> tuple[Edit, ...]:
    """Return the edits that join a RUN to the one above; behind the ``last`` comes none. Raises DeclinedError."""
    first, second = above.layer.instruction, below_it.layer.instruction
    if [flag.text for flag in first.flags] != [flag.text for flag in second.flags]:
        raise DeclinedError("the two RUNs have different flags")
    if first.heredocs or second.heredocs:
        raise DeclinedError("a here-document is in one of the two RUNs")
    for site in (above, below_it):
        _check_plain(site.script(), lasts=last and site is below_it)
    text = above.text
    start = _end_without_cleanups(above, below_it)
    end = _start_without_update(above, below_it, start)
    between = text[first.span.end : second.span.start]
    lines = between.split("\n")[1:-1] if "\n" in between else []
    if text[above.script().statements[-1].links[-1].span.end : first.span.end].strip() or any(
        line.strip() and not line.lstrip().startswith("#") for line in lines
    ):
        raise DeclinedError("something stands between the two RUNs")
    comments = [line.removesuffix("\r") for line in lines if line.strip()]
    style = above.script().style() or above.style() or below_it.script().style()
    joint = above.script().joint(style, comments)
    return (
        Edit(Span(start, end), joint),
        *_broken(above, style, 0, start),
        *_broken(below_it, style, end, len(text)),
    )


def _check_plain(script: Script, *, lasts: bool) -> None:
    """Raise DeclinedError where a script is not plain commands joined by &&, or changes the shell for what follows."""
    links = script.statements[0].links
    if len(script.statements) > 1 or script.statements[0].terminator or any(item.operator == "||" for item in links):
        raise DeclinedError("one of the two RUNs is more than commands joined by &&")
    for link in links:
        if not isinstance(link.node, shell.Command) or not link.node.words:
            raise DeclinedError("one of the two RUNs is more than plain commands")
        if link.node.words[0].literal is None or (link.node.words[0].literal in _LASTING and not lasts):
            raise DeclinedError(f"{link.node.words[0].raw} would change what comes after it")


def _broken(site: Site, style: str, start: int, end: int) -> list[Edit]:
    """Return the edits that give each command of a RUN on one line a line of its own, between two offsets."""
    links = site.script().statements[0].links
    gaps = [Span(one.span.end, other.span.start) for one, other in itertools.pairwise(links)]
    texts = [site.text[gap.start : gap.end] for gap in gaps]
    if any("\n" in text or text.strip(" ") != "&&" for text in texts):
        return []
    joint = site.script().joint(style, ())
    return [Edit(gap, joint) for gap in gaps if start <= gap.start and gap.end <= end]


def _end_without_cleanups(above: Site, below_it: Site) -> int:
    """Return where the RUN above ends without the clean-ups at its end that are at the end of the one below too."""
    links = above.script().statements[-1].links
    end = len(links)
    others = {below_it.text[link.span.start : link.span.end] for link in _cleanups_at_end(below_it)}
    for link in reversed(_cleanups_at_end(above)):
        if above.text[link.span.start : link.span.end] not in others:
            break
        end -= 1
    return links[end - 1].span.end


def _start_without_update(above: Site, below_it: Site, end: int) -> int:
    """Return where the RUN below starts without an update that the one above, cut at ``end``, has done for it."""
    links = below_it.script().statements[0].links
    updates = {
        event.span: text
        for site in (above, below_it)
        for event in site.layer.events
        if isinstance(event, Fill) and (text := left_behind.refilling(event, site.text))
    }
    first = updates.get(links[0].span)
    spans = [link.span for link in above.script().statements[0].links]
    done = [span for span in spans if span in updates and updates[span] == first and span.end <= end]
    if first is None or not done or len(links) == 1:
        return links[0].span.start
    # Of a command that is not the manager's, nobody knows whether it changes what an update would fetch.
    own = {event.span for event in above.layer.events if isinstance(event, (Fill, Required))}
    between = [span for span in spans if done[-1].start < span.start < end]
    changes = any(span not in own for span in between)
    cleans = any(isinstance(event, (Clean, Remove)) and event.span.end <= end for event in above.layer.events)
    return links[0 if cleans or changes else 1].span.start


def _cleanups_at_end(site: Site) -> list[Link]:
    """Return the last links of a RUN that do nothing but clean up; never its first."""
    links = site.script().statements[-1].links
    cleanups = {event.span for event in site.layer.events if isinstance(event, (Clean, Remove))}
    start = len(links)
    while start > 1 and links[start - 1].span in cleanups:
        start -= 1
    return list(links[start:])


# -- not-lean ----------------------------------------------------------------------------------------------------------


def not_lean(ledger: Ledger, finding: Finding, prefer: str, unsafe: bool) -> Fix:
    """Add the option that has the manager install less. Raises DeclinedError."""
    del prefer, unsafe
    site = Site(ledger, _layer(ledger, finding))
    option = next((advice.text for advice in finding.remedies if advice.text.startswith("-")), "")
    fill = next(
        (
            event
            for event in site.layer.events
            if isinstance(event, Fill) and event.span == finding.span and event.recipe.id == finding.manager
        ),
        None,
    )
    if fill is None or not re.fullmatch(r"--?[A-Za-z][\w.:-]*(?:=[\w.:/,+-]+)?", option):
        raise DeclinedError("this is for the author to decide")
    edit = remedies.insert_option(site, fill, option)
    edits = tuple(remedies.keep_columns(site, [edit]))
    return Fix(False, f"add {option}", edits, "something may need what is then not installed")


FIXERS: Mapping[str, Callable[[Ledger, Finding, str, bool], Fix]] = {
    "cleanup-fails": cleanup_fails,
    "mount-emptied": mount_emptied,
    "mount-defeated": mount_defeated,
    "over-cleaned": over_cleaned,
    "split-installs": split_installs,
    "not-lean": not_lean,
}
