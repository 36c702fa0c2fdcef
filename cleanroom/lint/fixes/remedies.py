"""How each kind of remedy is written into a RUN: a clean-up behind the last fill, an option, a variable, a mount."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from cleanroom.engine.events import Clean, Event, Fill, Remove
from cleanroom.engine.interpreter import Interpreter
from cleanroom.engine.ledger import Outcome, Status
from cleanroom.engine.options import PYTHON
from cleanroom.engine.settle import empties
from cleanroom.engine.state import State
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.fixes.script import Place
from cleanroom.lint.fixes.uses import Taken, in_layer, mounted, taken_by, unmade
from cleanroom.recipes.facts import at_home
from cleanroom.recipes.model import Recipe, Remedy
from cleanroom.syntax import shell
from cleanroom.syntax.dockerfile import assignments
from cleanroom.syntax.globs import matches
from cleanroom.syntax.paths import UNKNOWN, below
from cleanroom.syntax.text import Edit, Span


class Plan(Struct):
    """Edits under way: what they do in words, and why a build could break by them, if one could."""

    title: str
    edits: list[Edit]
    why: str = ""
    taken: Taken | None = None  # what it takes out of the layer
    targets: tuple[str, ...] = ()  # on which it mounts caches


# -- the text of a clean-up --------------------------------------------------------------------------------------------


class Cleaning(Struct, frozen=True):
    """The commands of a clean-up. ``own``: one of them is the manager's; ``paths`` of an only ``rm -rf``."""

    commands: tuple[tuple[str, ...], ...]
    own: bool
    paths: tuple[str, ...]
    why: str = ""  # not plain: right only if the author agrees


_WORD = re.compile(r"[\w./~*:=@%+,-]+")
_SYSTEM = frozenset(("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys"))
_CORE = frozenset(
    ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "usr/local", "usr/share", "var/lib", "var/cache", "var/log")
)


def read_cleaning(run: str, recipe: Recipe) -> Cleaning:
    """Return the commands of a remedy's ``run``. Raises DeclinedError for text that must not get into a RUN."""
    if not run.isprintable() or "#" in run:
        raise DeclinedError(f"the recipe's command cannot stand in a RUN: {run!r}")
    try:
        tree = shell.parse(shell.line(run))
    except shell.ShellError:
        raise DeclinedError(f"the recipe's command cannot stand in a RUN: {run!r}") from None
    strange = Cleaning(((run,),), own=True, paths=(), why="the recipe's command is no plain clean-up")
    if len(tree.items) != 1 or tree.items[0].terminator:
        return strange
    parts: list[shell.Node] = []
    node = tree.items[0].node
    while isinstance(node, shell.AndOr):
        if node.operator != "&&":
            return strange
        parts.insert(0, node.second)
        node = node.first
    parts.insert(0, node)
    names = {name for program in recipe.programs for name in program.names}
    commands: list[tuple[str, ...]] = []
    paths: tuple[str, ...] = ()
    own = False
    for part in parts:
        if not isinstance(part, shell.Command) or part.assignments or part.redirects or not part.words:
            return strange
        words = tuple(word.raw for word in part.words)
        if words[0] == "rm" and any(word.lstrip('"').startswith(("$(", "`")) for word in words[1:]):
            raise DeclinedError("what the recipe removes begins with what a program prints: without it, that is /")
        if not all(_WORD.fullmatch(word) for word in words):
            return strange
        if words[0] == "rm":
            operands = tuple(word for word in words[1:] if not word.startswith("-"))
            if not operands or not all(_is_specific(operand) for operand in operands):
                return strange
            paths = operands
        elif words[0] in names:
            own = True
        else:
            return strange
        commands.append(words)
    return Cleaning(tuple(commands), own, paths if len(commands) == 1 and not own else ())


def _is_specific(operand: str) -> bool:
    """Return True if an operand of ``rm`` is one folder or what is in it, and no folder of the system."""
    if ".." in operand:
        return False
    if operand.startswith("~/"):
        return operand[2:].rstrip("/*") != ""
    parts = [part for part in operand.split("/") if part]
    bare = [part for part in parts if part != "*"]
    return (
        operand.startswith("/")
        and len(bare) >= 1
        and (len(bare) > 1 or bare[0] == "tmp")
        and bare[0] not in _SYSTEM
        and "*" not in bare[0]
        and "/".join(bare) not in _CORE
    )


# -- clean -------------------------------------------------------------------------------------------------------------


def clean(site: Site, remedy: Remedy, left: list[Outcome]) -> Plan:
    """Return the plan that adds a clean-up to the RUN. ``left`` is what the RUN leaves of the manager's caches.

    Raises DeclinedError.
    """
    recipe = left[0].fill.recipe
    cleaning = read_cleaning(remedy.run, recipe)
    script = site.script()
    plan = Plan("", [], cleaning.why)
    fills = [outcome.fill for outcome in left if outcome.fill.cache.id in remedy.caches]
    prefix = _sudo(site, remedy, fills, plan)
    commands = [_written(site, words, recipe, fills, prefix) for words in cleaning.commands]
    operands = [word for words in commands if "rm" in words[:2] for word in words[1:] if word[:1] in "/~"]
    _check_operands(site, operands)
    events = _check_reach(site, [" ".join(words) for words in commands], fills)
    if cleaning.own and not cleaning.why:
        _check_own(site, fills)
    first, after = _behind_uses(site, plan, events, site.uses(recipe.id, remedy.caches))
    if cleaning.paths and not prefix and (found := script.removal(after, first)):
        place, removal = found
        present = {word.raw for word in removal.words}
        missing = [path for path in operands if path not in present]
        if missing and removal.words[0].span.start >= 0:
            plan.edits.append(script.extend(removal, missing))
            line = site.ledger.source.position(removal.span.start)[0]
            plan.title = f"add {' '.join(missing)} to the rm on line {line}"
            return plan
        del place
    spots = script.spots(after, first, near=cleaning.own)
    if not spots:
        raise DeclinedError(_why_no_spot(site, after))
    spot = spots[0]
    texts = [" ".join(words) for words in commands]
    plan.edits.append(script.join(spot, texts, site.style()))
    where = f"at the end of this {site.run}" if spot.place == script.last else "behind it"
    plan.title = f"add {' && '.join(texts)} {where}"
    return plan


def _behind_uses(site: Site, plan: Plan, events: list[Event], uses: list[Event]) -> tuple[Place, Place]:
    """Return the first and the last link of the RUN that fill or use what a clean-up takes. Raises DeclinedError.

    ``events`` are those of the clean-up, ``uses`` those of the RUN that fill or need the caches.
    """
    taken = taken_by(site.ledger, site.layer, events, len(site.layer.events))
    plan.taken = taken
    last = max(event.order for event in uses)
    places = [site.place(event) for event in uses]
    users = [(user, site.place_of(user.span)) for user in in_layer(site.ledger, taken, after=last)]
    first, after = min(places), max([*places, *(place for _, place in users)])
    if not site.script().spots(after, first) and not any(user.certain for user, _ in users):
        plan.why = next((user.reason for user, _ in users), "")
        after = max(places)
    return first, after


def _why_no_spot(site: Site, after: Place) -> str:
    script = site.script()
    if script.statements[after.statement].terminator == "&":
        return "the command runs in the background: nothing tells when it is done"
    if script.spots(after, after):
        return "a test in between may keep what follows from running"
    if script.sets_errexit:
        return "with set -e, a command joined to this one would change what happens when it fails"
    return "the shell ends with this command: nothing can follow it"


def _sudo(site: Site, remedy: Remedy, fills: list[Fill], plan: Plan) -> str:
    """Return ``sudo`` when the clean-up needs it. Raises DeclinedError when the user in force cannot do it."""
    with_sudo = any(fill.sudo for fill in fills)
    root = site.is_root()
    if with_sudo and root is not True:
        if any(_is_another(site, fill) for fill in fills):
            raise DeclinedError("the command runs as another user")
        if not re.search(r"NOPASSWD:\s*ALL", site.text):
            plan.why = plan.why or "sudo may allow the user only some commands"
        return "sudo"
    if any(_is_another(site, fill) for fill in fills):
        raise DeclinedError("the command runs as another user")
    if remedy.root_only and root is False:
        raise DeclinedError(f"only root can do it, and the user of this {site.run} is {site.layer.user}")
    return ""


def _is_another(site: Site, fill: Fill) -> bool:
    """Return True if another user than the one in force ran a command, other than root by sudo."""
    names = {user.partition(":")[0].replace("root", "0") for user in (fill.user, site.layer.user)}
    return bool(fill.user) and not fill.sudo and len(names) > 1


def _written(site: Site, words: tuple[str, ...], recipe: Recipe, fills: list[Fill], prefix: str) -> tuple[str, ...]:
    """Return one command of a clean-up as written here, with the program under the name that the RUN uses."""
    if words[0] == "rm":
        home = "/root" if prefix else "~"
        words = tuple(home + word[1:] if word.startswith("~/") else word for word in words)
        if site.script().functions & {"rm"}:
            raise DeclinedError("the script has a function called rm")
    elif len(words) > 1 or words[0] != "":
        words = (_program(site, words[0], recipe, fills), *words[1:])
    return (prefix, *words) if prefix else words


def _program(site: Site, name: str, recipe: Recipe, fills: list[Fill]) -> str:
    """Return how to call the manager's program ``name``, so that it is there: as the last fill calls it."""
    family = next((program for program in recipe.programs if name in program.names), None)
    command = fills[-1].command
    if family is None or command is None:
        return name
    for word in command.words:
        base = (word.literal or word.raw).strip("\"'").rpartition("/")[2]
        if any(matches(base, pattern) for pattern in family.names):
            if word.literal is None or not _WORD.fullmatch(word.raw):
                raise DeclinedError(f"the name of the program is put together at run time: {word.raw}")
            return word.raw
        if any(matches(base, pattern) for program in recipe.programs for pattern in program.names):
            if family.comes_along:
                return name
            break
        if word.literal in recipe.programs[0].modules:
            raise DeclinedError(f"the RUN runs {recipe.name} as a Python module: there may be no {name}")
    earlier = any(
        event.command is not None and event.command.words and event.command.words[0].literal == name
        for event in site.layer.events
    )
    if earlier:
        return name
    raise DeclinedError(f"it is not known whether there is a program {name} here")


def _check_reach(site: Site, texts: list[str], fills: list[Fill]) -> list[Event]:
    """Return what a clean-up does at the end of the layer. Raises DeclinedError when it leaves something."""
    if site.layer.state is None:
        return []
    events = simulate(site, texts)
    for event in events:
        paths = [path for paths in event.paths.values() for path in paths] if isinstance(event, Clean) else []
        if (mount := site.layer.mount(paths)) is not None:
            raise DeclinedError(f"it would also empty the mount on {mount.target}")
    for fill in fills:
        if not any(isinstance(event, (Clean, Remove)) and empties(event, fill) for event in events):
            shown = fill.paths[0].replace(UNKNOWN, "…") if fill.paths else "where is not known"
            raise DeclinedError(f"the cache lies elsewhere here: {shown}")
    return events


def simulate(site: Site, texts: list[str]) -> list[Event]:
    """Return what commands do at the end of the layer."""
    state = site.layer.state
    walker = Interpreter(site.ledger.library, state.copy() if state else State(site.layer.base), _nothing, _nothing)
    walker.run(shell.line(" && ".join(texts)))
    return walker.events


def _nothing(*_: object) -> None:
    """Read no script, and take no notes."""


def _check_operands(site: Site, operands: list[str]) -> None:
    """Raise DeclinedError when an ``rm`` could fail, or remove something else."""
    script = site.script()
    layer = site.layer
    raw = script.mapped.text
    if any("*" in operand for operand in operands):
        if site.zsh:
            raise DeclinedError("zsh fails where a * matches nothing")
        if re.search(r"\bset\s+-\w*f|noglob|failglob", raw):
            raise DeclinedError("the script changes what * means")
    homes = [operand for operand in operands if operand.startswith("~")]
    if homes and re.search(r"\bHOME=|\bunset\s+HOME", raw):
        raise DeclinedError("the script changes HOME")
    for mount in layer.mounts:
        for operand in operands:
            path = at_home(operand, layer.home).removesuffix("/*")
            if below(mount.target, path) or below(path, mount.target):
                raise DeclinedError(f"a mount on {mount.target} is in the way")


_PATH_CHANGES = re.compile(r"\bactivate\b|\bsource\s|(?:^|[\s;&(\"'])\.\s+\S|\bPATH=|\bnvm\b|\bpyenv\b|\bexport\s")


def _check_own(site: Site, fills: list[Fill]) -> None:
    """Raise DeclinedError when the manager's own command may not find the manager, or another cache than was filled."""
    script = site.script()
    for fill in fills:
        if fill.command is None:
            raise DeclinedError(f"the command does not stand in the text of this {site.run}")
        words = [word.raw for word in fill.command.words]
        for candidate in fill.cache.paths:
            name = re.match(r"<(--?[\w-]+)>|\$\{?(\w+)", candidate.path)
            if name and name[1] and any(word == name[1] or word.startswith(f"{name[1]}=") for word in words):
                raise DeclinedError(f"{name[1]} puts the cache elsewhere, for this one command")
            if name and name[2] and any(item.name in (name[2], "HOME") for item in fill.command.assignments):
                raise DeclinedError(f"{name[2]} is set for this one command")
        place = site.place(fill)
        link = script.link(place)
        if link.span == fill.command.span:
            continue
        inside = site.text[link.span.start : link.span.end]
        words = inside.split()
        isolated = fill.nested or _in_subshell(script.link(place).node, fill.command)
        if isolated and (_PATH_CHANGES.search(inside) or re.search(r"\s-\w*[li]\w*\s", inside)):
            raise DeclinedError("the command runs in a shell of its own, which may find other programs")


def _in_subshell(node: shell.Node, command: shell.Command) -> bool:
    return any(
        found.span == command.span and {"subshell", "sub", "func"} & set(containers)
        for containers, found in shell.commands(node)
    )


# -- prevent by an option ----------------------------------------------------------------------------------------------

_OPTION = re.compile(r"--?[A-Za-z][\w.:-]*(?:=[\w.:/,+-]+)?")


def option(site: Site, remedy: Remedy, left: list[Outcome]) -> Plan:
    """Return the plan that adds an option to each command that fills the cache. Raises DeclinedError."""
    if not _OPTION.fullmatch(remedy.option):
        raise DeclinedError(f"the recipe's option cannot stand in a RUN: {remedy.option!r}")
    edits: set[Edit] = set()
    for event in site.layer.events:
        if not isinstance(event, Fill) or event.recipe.id != left[0].fill.recipe.id or event.prevented:
            continue
        if event.cache.id not in remedy.caches or event.cache.minor:
            continue
        edits.add(insert_option(site, event, remedy.option, remedy.verbs))
    taken = unmade(site.layer, _fills(left, remedy))
    return Plan(f"add {remedy.option}", keep_columns(site, sorted(edits)), taken=taken)


def _fills(left: list[Outcome], remedy: Remedy) -> list[Fill]:
    """Return the fills of the caches of a remedy."""
    return [outcome.fill for outcome in left if outcome.fill.cache.id in remedy.caches]


def keep_columns(site: Site, edits: list[Edit]) -> list[Edit]:
    """Return ``edits``, which insert, with others that take as much from the padding at the ends of their lines."""
    grown: dict[int, int] = {}  # by the offset where a line ends
    for edit in edits:
        end = site.text.find("\n", edit.span.start)
        if end != -1:
            grown[end] = grown.get(end, 0) + len(edit.text)
    padding = re.compile(rf" ( +)(?:(?:&&|;|\|\|?) )?{re.escape(site.layer.instruction.escape)}\r?$")
    shrunk = []
    for end, length in grown.items():
        start = max(edit.span.start for edit in edits if site.text.find("\n", edit.span.start) == end)
        if match := padding.search(site.text[start:end]):
            at = start + match.start(1)
            shrunk.append(Edit(Span(at, at + min(length, len(match[1]))), ""))
    return sorted([*edits, *shrunk])


def insert_option(site: Site, fill: Fill, text: str, verbs: tuple[str, ...] = ()) -> Edit:
    """Return the edit that puts an option behind the verb of a command. Raises DeclinedError."""
    if site.is_array:
        return _in_array(site, fill, text, verbs)
    command = fill.command
    if command is None:
        raise DeclinedError(f"the command does not stand in the text of this {site.run}")
    index, between = _behind(fill, verbs, [word.literal for word in command.words])
    word = command.words[index]
    if site.text[word.span.start : word.span.end] != word.raw or word.raw.strip("\"'") != word.literal:
        raise DeclinedError(f"{word.literal} is put together from parts")
    return Edit(Span(word.span.end, word.span.end), f" {between}{text}")


def _behind(fill: Fill, verbs: tuple[str, ...], words: list[str | None]) -> tuple[int, str]:
    """Return the index of the word that an option of the command goes behind, and what has to come before the option.

    That word is the last one of the command's verb; of a script of Python, its name, or the ``-`` by which Python reads
    it from its input, which stands before the script's own options: https://docs.python.org/3/using/cmdline.html.
    """
    names = [(word or "").rpartition("/")[2] for word in words]
    if fill.verb.endswith(".py") and fill.verb in (verbs or (fill.verb,)):
        python = next((index for index, name in enumerate(names) if PYTHON.fullmatch(name)), -1)
        for index in range(python + 1, len(names)):
            if names[index] == fill.verb or words[index] == "-":
                return index, ""
        if python >= 0:
            return len(names) - 1, "- "
    programs = fill.recipe.programs
    start = next(
        (
            index + 1
            for index, word in enumerate(words)
            if word is not None
            and (
                any(matches(names[index], name) for program in programs for name in program.names)
                or (index and words[index - 1] == "-m" and any(word in program.modules for program in programs))
            )
        ),
        0,
    )
    for verb in sorted(verbs or (fill.verb,), key=lambda verb: -len(verb.split())):
        parts = verb.split()
        if not parts or parts[0] != fill.verb:
            continue
        for index in range(start, len(words) - len(parts) + 1):
            if words[index : index + len(parts)] == parts:
                return index + len(parts) - 1, ""
    if fill.verb and verbs and fill.verb not in {verb.split()[0] for verb in verbs}:
        raise DeclinedError(f"{fill.recipe.name} {fill.verb} does not take the option")
    raise DeclinedError("the command is put together at run time")


def _in_array(site: Site, fill: Fill, text: str, verbs: tuple[str, ...]) -> Edit:
    argv = site.layer.instruction.exec_form
    assert argv is not None
    words = [word.text for word in argv]
    if fill.nested or any(re.fullmatch(r"-\w*c", word) for word in words[:3]):
        raise DeclinedError("the RUN is in exec form (a JSON array) and holds a script")
    index, _ = _behind(fill, verbs, list(words))
    end = argv[index].span.end
    return Edit(Span(end, end), f', "{text}"')


# -- prevent by a variable ---------------------------------------------------------------------------------------------


_SWITCHES = re.compile(r"\b(?:su|runuser|sudo|doas)\b")


def variable(site: Site, remedy: Remedy, left: list[Outcome]) -> Plan:
    """Return the plan that sets a variable for the stage, above the first RUN that fills the cache."""
    if not re.fullmatch(r"[A-Za-z_]\w*", remedy.variable) or not re.fullmatch(r"[\w./:,=+-]+", remedy.value):
        raise DeclinedError(f"the recipe's variable cannot stand in an ENV: {remedy.variable}={remedy.value!r}")
    ledger, layer = site.ledger, site.layer
    stage = ledger.stages[layer.stage]
    if any(outcome.fill.sudo for outcome in left if outcome.fill.cache.id in remedy.caches):
        raise DeclinedError("sudo does not pass the variable on")
    if _SWITCHES.search(site.text[layer.instruction.span.start : layer.instruction.span.end]):
        raise DeclinedError("the RUN switches to another user, who may not get the variable")
    for item in ledger.chain(layer.stage):
        for instruction in item.stage.instructions:
            if instruction.keyword == "ENV" and any(
                assignment.name == remedy.variable for assignment in assignments(instruction)
            ):
                raise DeclinedError(f"{remedy.variable} is set on line {instruction.line} already")
    if any(
        re.search(rf"\b{remedy.variable}\b", site.text[other.instruction.span.start : other.instruction.span.end])
        for other in stage.layers
    ):
        raise DeclinedError(f"a RUN has its own {remedy.variable}")
    assignment = f"{remedy.variable}={remedy.value}"
    keyword = "ONBUILD ENV" if layer.instruction.onbuild else "ENV"
    line = _first_line(site, remedy, left[0].fill.recipe)
    taken = unmade(layer, _fills(left, remedy))
    return Plan(f"set ENV {assignment}", [above(site, line, f"{keyword} {assignment}")], taken=taken)


def _first_line(site: Site, remedy: Remedy, recipe: Recipe) -> int:
    """Return the line of the first RUN below which an ENV holds for all that leave the caches of a remedy.

    Those that leave nothing count where no RUN leaves any.
    """
    ledger, layer = site.ledger, site.layer
    stages = {item.stage.index for item in ledger.chain(layer.stage)}
    found = [
        outcome
        for outcome in ledger.outcomes
        if outcome.layer.stage in stages
        and outcome.layer.instruction.onbuild == layer.instruction.onbuild
        and outcome.fill.recipe.id == recipe.id
        and outcome.fill.cache.id in remedy.caches
    ]
    left = [outcome for outcome in found if outcome.state == Status.LEFT]
    return (left or found)[0].layer.instruction.line


def above(site: Site, line: int, text: str) -> Edit:
    """Return the edit that puts an instruction above the one on ``line``, and above the comments that belong to it."""
    source = site.ledger.source
    comments = {comment.line for comment in site.ledger.dockerfile.comments}
    directives = {directive.line for directive in site.ledger.dockerfile.directives}
    while line - 1 in comments and line - 1 not in directives:
        line -= 1
    start = source.line_start(line)
    if line == 1 and site.text.startswith("\ufeff"):
        start = 1
    end = site.text.find("\n", start)
    feed = "\r\n" if end > 0 and site.text[end - 1] == "\r" else "\n"
    return Edit(Span(start, start), text + feed)


def before(site: Site, remedy: Remedy, left: list[Outcome]) -> Plan:
    """Return the plan that puts a command before the first one that fills the cache. Raises DeclinedError."""
    recipe = left[0].fill.recipe
    cleaning = read_cleaning(remedy.run, recipe)
    fills = [event for event in site.layer.events if isinstance(event, Fill) and event.recipe.id == recipe.id]
    first = min(site.place(fill) for fill in fills)
    plan = Plan(f"run {remedy.run} first", [], cleaning.why, unmade(site.layer, _fills(left, remedy)))
    prefix = _sudo(site, remedy, fills, plan)
    texts = [" ".join(_written(site, words, recipe, fills, prefix)) for words in cleaning.commands]
    edit = site.script().lead(first, " && ".join(texts))
    if edit is None:
        raise DeclinedError("no command can be put before the first that fills it")
    plan.edits.append(edit)
    return plan


# -- mount -------------------------------------------------------------------------------------------------------------

_SYNTAX = re.compile(r"docker/dockerfile(?:-upstream)?(?::(?P<version>[\w.-]+))?(?:@.*)?\Z")


def knows_mounts(site: Site) -> bool:
    """Return True if the file asks for a builder that knows ``RUN --mount``."""
    dockerfile = site.ledger.dockerfile
    for directive in dockerfile.directives:
        if directive.name == "syntax":
            match = _SYNTAX.search(directive.value)
            version = (match["version"] or "1") if match else ""
            return bool(match) and not re.match(r"(0|1\.[01])(\.|-|$)", version)
    return any(
        instruction.heredocs or any(flag.name == "mount" for flag in instruction.flags)
        for instruction in dockerfile.instructions
    )


def mount(site: Site, remedy: Remedy, left: list[Outcome]) -> Plan:
    """Return the plan that mounts a cache over each target of which the RUN leaves something. Raises DeclinedError."""
    fills = _fills(left, remedy)
    for place in places(site, remedy, fills):
        _check_mountable(site, place)
    plan = mount_on(site, remedy, left)
    if not knows_mounts(site):
        plan.why = "the file does not say that its builder knows cache mounts (a syntax directive does)"
    return plan


def mount_on(site: Site, remedy: Remedy, outcomes: list[Outcome]) -> Plan:
    """Return the plan that mounts caches, and sets what they need, whatever else the RUN does. Raises DeclinedError."""
    layer, recipe = site.layer, outcomes[0].fill.recipe
    owner = _owner(site, outcomes)
    fills = _fills(outcomes, remedy)
    targets = list(places(site, remedy, fills))
    flags: list[str] = []
    for place in targets:
        sharing = f",sharing={remedy.sharing}" if remedy.sharing else ""
        name = recipe.id if len(remedy.targets) == 1 else f"{recipe.id}-{place.rpartition('/')[2]}"
        flags.append(_like_others(site, place) or f"--mount=type=cache,target={place}{sharing}{owner.format(name)}")
    if not flags or not all(any(below(path, target) for target in targets) for fill in fills for path in fill.paths):
        shown = fills[0].paths[0].replace(UNKNOWN, "…") if fills[0].paths else "?"
        raise DeclinedError(f"the cache lies elsewhere here: {shown}")
    at = _behind_flags(site)
    plan = Plan(f"mount a cache on {', '.join(targets)}", [], taken=mounted(site.ledger, layer, targets))
    plan.targets = tuple(targets)
    new = [flag for flag in flags if all(flag != other.text for other in layer.instruction.flags)]
    plan.edits.append(Edit(Span(at, at), "".join(f" {flag}" for flag in new)))
    for name, value in remedy.environment.items():
        plan.edits += _environment(site, remedy, recipe, name, value)
    return plan


def _owner(site: Site, left: list[Outcome]) -> str:
    """Return the options by which a mount belongs to the user in force; ``{}`` is its name. Raises DeclinedError."""
    layer = site.layer
    if layer.uid == "0":
        if any(outcome.fill.sudo for outcome in left) and site.is_root() is not True:
            raise DeclinedError("it is not known whose cache sudo fills")
        return ""
    name, _, gid = layer.user.partition(":")
    if not layer.uid:
        raise DeclinedError(f"a cache mount belongs to root, and the number of the user {name} is not known")
    # Builders keep one cache for all that ask for the same place, with the owner that asked first.
    return f",id={{}}-{layer.uid},uid={layer.uid}" + (f",gid={gid}" if gid.isdigit() else "")


def places(site: Site, remedy: Remedy, fills: list[Fill]) -> Iterator[str]:
    """Yield the targets of a remedy into which one of ``fills`` goes. Raises DeclinedError."""
    for target in remedy.targets:
        place = at_home(target, site.layer.home)
        if not re.fullmatch(r"/[\w./@+-]+", place):
            raise DeclinedError("the home of the user in force is not known")
        if any(below(path, place) for fill in fills for path in fill.paths):
            yield place


def _check_mountable(site: Site, place: str) -> None:
    """Raise DeclinedError where a mount on ``place`` is in the way of another, or would stay or become empty."""
    layer = site.layer
    if any(below(place, other.target) or below(other.target, place) for other in layer.mounts):
        raise DeclinedError(f"there is a mount on {place} already")
    fills = [event for event in layer.events if isinstance(event, Fill) and any(below(p, place) for p in event.paths)]
    for fill in fills:
        file = fill.cache.kept_out_by_file
        if fill.prevented not in ("", "?") and (fill.prevented != file or file in layer.base.files):
            raise DeclinedError(f"{fill.prevented} would keep the mount on {place} empty")
    if any(
        isinstance(event, (Clean, Remove)) and any(empties(event, fill) for fill in fills) for event in layer.events
    ):
        raise DeclinedError("the RUN empties the cache by itself, which would empty the mount")


def _behind_flags(site: Site) -> int:
    """Return the offset at which a RUN takes another flag. Raises DeclinedError."""
    instruction = site.layer.instruction
    if instruction.flags:
        return instruction.flags[-1].span.end
    match = re.compile(r"(?:ONBUILD\s+)?RUN\b", re.IGNORECASE).match(site.text, instruction.span.start)
    if match is None:
        raise DeclinedError("the RUN is broken over lines before its first word")
    return match.end()


def _like_others(site: Site, target: str) -> str:
    """Return the flag by which another RUN of this stage mounts a cache on ``target``, so that both share it."""
    for layer in site.ledger.stages[site.layer.stage].layers:
        for flag in layer.instruction.flags:
            value = flag.value or ""
            fields = value.split(",")
            same = "type=cache" in fields and f"target={target}" in fields and layer.user == site.layer.user
            if flag.name == "mount" and same:
                return flag.text
    return ""


def _environment(site: Site, remedy: Remedy, recipe: Recipe, name: str, value: str) -> list[Edit]:
    """Return the edit that sets a variable which the mount needs, unless it is set: once for all RUNs that need it."""
    line = site.line if value.startswith("~/") else _first_line(site, remedy, recipe)
    if value.startswith("~/"):
        value = site.layer.home + value[1:]
    if not re.fullmatch(r"[A-Za-z_]\w*", name) or not re.fullmatch(r"[\w./:,=+-]+", value):
        raise DeclinedError(f"the recipe's variable cannot stand in an ENV: {name}={value!r}")
    for item in site.ledger.chain(site.layer.stage):
        for instruction in item.stage.instructions:
            if instruction.keyword == "ENV" and any(found.name == name for found in assignments(instruction)):
                return []
    return [above(site, line, f"ENV {name}={value}")]
