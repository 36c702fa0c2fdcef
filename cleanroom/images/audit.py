"""The audit of an image: what each cache weighs in each layer, what made it, and how it is kept out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from cleanroom.engine.ledger import Outcome, Status
from cleanroom.images import account, history
from cleanroom.images.advice import Advisor
from cleanroom.images.base import BaseImage, guess
from cleanroom.images.contents import Contents, read
from cleanroom.images.image import DEFAULT, Configuration, Image, Limits
from cleanroom.images.matching import Matcher
from cleanroom.images.places import Place, distinct, homes, is_place, pattern, places
from cleanroom.images.tree import Tree, show
from cleanroom.lint.findings import Advice
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer. ``bytes`` are those of its files, ``stored`` those that are pulled."""

    number: int  # from 1, the lowest
    digest: str  # of the unpacked layer, hexadecimal; "" if unknown
    instruction: str  # that made it, as far as the history tells
    created: str
    files: int
    bytes: int
    unpacked: int  # of the tar stream
    stored: int
    compression: str  # gzip, zstd, bzip2, xz; "" for none
    is_base: bool  # the base image brought it
    hidden: int  # bytes of its files that later layers remove or replace, caches or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A cache in a layer."""

    layer: int
    manager: str
    cache: str
    what: str
    paths: tuple[str, ...]  # the heaviest first
    files: int
    bytes: int  # that the image would not have without it
    stored: int
    stored_between: tuple[int, int]  # what it is between, where files of several kinds are packed together
    linked: int  # bytes under its paths that are files of something else too: removing the cache does not free them
    removed_in: int | None  # the layer that removes or replaces it, from 1; the bytes ship all the same
    is_base: bool
    expected: str  # what the engine says of the layer's command: left, clean, prevented, mounted, unknown; "" nothing
    remedies: tuple[Advice, ...]  # best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an image carries."""

    reference: str
    kind: str
    digest: str
    platform: str
    system: str  # as in /etc/os-release
    layers: tuple[Layer, ...]
    leftovers: tuple[Leftover, ...]  # by layer, the heaviest first
    remedies: tuple[tuple[int, str, tuple[Advice, ...]], ...]  # by layer and manager, for all its caches there
    base_from: str  # how the base image was told apart: option, dockerfile, history; "" not at all
    base_name: str
    problems: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """All bytes of files in all layers."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def stored(self) -> int:
        """All bytes that are pulled."""
        return sum(layer.stored for layer in self.layers)

    @property
    def waste(self) -> int:
        """The bytes of caches in all layers, those of the base image included."""
        return sum(leftover.bytes for leftover in self.leftovers)

    @property
    def waste_stored(self) -> int:
        """The bytes of caches among those that are pulled."""
        return sum(leftover.stored for leftover in self.leftovers)

    @property
    def own_waste(self) -> int:
        """The bytes of caches in layers that the base image did not bring."""
        return sum(leftover.bytes for leftover in self.leftovers if not leftover.is_base)

    @property
    def hidden(self) -> int:
        """Bytes of files, caches or not, that a later layer removes or replaces."""
        return sum(layer.hidden for layer in self.layers)


@dataclass(slots=True)
class Reading:
    """An audit, and what it was made from: for formats that show more of the files."""

    audit: Audit
    contents: Contents
    configuration: Configuration
    counted: bytearray  # by inode: 1 for the files of leftovers
    homes: tuple[bytes, ...]  # patterns


def audit(
    image: Image,
    *,
    library: Library,
    base: BaseImage | None = None,
    limits: Limits = DEFAULT,
    progress: Callable[[int], None] | None = None,
    keep: tuple[bytes, ...] = (),
) -> Reading:
    """Read an image and say what it carries. Raises ImageError.

    ``base`` is the image that it is built on; without it, the history is asked. ``keep`` are ends of the names of files
    whose text is kept.
    """
    configuration = image.configuration
    contents = read(image, limits, progress, keep)
    base = guess(configuration) if base is None else base
    system = contents.text(b"etc/os-release")
    facts = library.base(_known_base(library, base.name, system, configuration))
    steps = history.layer_steps(configuration, len(contents.layers))
    outcomes = _outcomes(contents, configuration, steps, facts, library)
    told = _told_places(chain.from_iterable(outcomes.values()))
    candidates = chain(places(library, facts, configuration.environment), told)
    all_homes = homes(contents, configuration.environment, facts)
    matcher = Matcher(contents.tree, distinct(candidates), all_homes)
    filled = {layer: {(item.fill.recipe.id, item.fill.cache.id) for item in found} for layer, found in outcomes.items()}
    weights, counted = account.weigh(contents, matcher, filled)
    advisor = Advisor(library, facts, configuration)
    leftovers = sorted(
        (
            _leftover(key, weight, base, outcomes.get(key.layer, ()), advisor)
            for key, weight in weights.items()
            if weight.size or weight.linked
        ),
        key=lambda item: (item.layer, -item.bytes, item.manager, item.cache, item.removed_in or 0),
    )
    found = Audit(
        reference=image.reference,
        kind=image.kind,
        digest=image.digest,
        platform=configuration.platform,
        system=_os_name(system),
        layers=tuple(_layers(contents, configuration, steps, base)),
        leftovers=tuple(leftovers),
        remedies=tuple(_remedies(leftovers, outcomes, advisor)),
        base_from=base.known_from.value,
        base_name=base.name,
        problems=tuple(contents.problems),
    )
    return Reading(found, contents, configuration, counted, all_homes)


def _outcomes(
    contents: Contents,
    configuration: Configuration,
    steps: Sequence[int | None],
    facts: Base,
    library: Library,
) -> dict[int, tuple[Outcome, ...]]:
    """Return what the commands of the history do to caches, by layer."""
    missing = [path for path in facts.files if not contents.tree.exists(pattern(path))]
    told = history.tell(configuration.history, facts.images[0], missing, library)
    return {layer: told.outcomes.get(step, ()) for layer, step in enumerate(steps) if step is not None}


def _layers(
    contents: Contents, configuration: Configuration, steps: Sequence[int | None], base: BaseImage
) -> Iterator[Layer]:
    hidden = _hidden(contents.tree, len(contents.layers))
    for index, (layer, step) in enumerate(zip(contents.layers, steps, strict=True)):
        made = None if step is None else configuration.history[step]
        yield Layer(
            number=index + 1,
            digest=configuration.diff_ids[index] if index < len(configuration.diff_ids) else "",
            instruction="" if made is None else history.command(made.created_by).shown,
            created="" if made is None else made.created,
            files=layer.files,
            bytes=layer.bytes,
            unpacked=layer.unpacked,
            stored=layer.stored,
            compression=layer.compression,
            is_base=index < base.layers,
            hidden=hidden[index],
        )


def _leftover(
    key: account.Key, weight: account.Weight, base: BaseImage, outcomes: Sequence[Outcome], advisor: Advisor
) -> Leftover:
    recipe = advisor.library.find(key.manager)
    outcome = _outcome(key.manager, key.cache, outcomes)
    return Leftover(
        layer=key.layer + 1,
        manager=key.manager,
        cache=key.cache,
        what=recipe.cache(key.cache).what,
        paths=tuple(f"/{show(path)}" for path, _ in sorted(weight.paths.items(), key=lambda item: (-item[1], item[0]))),
        files=weight.files,
        bytes=weight.size,
        stored=weight.stored.guess,
        stored_between=(weight.stored.low, weight.stored.high),
        linked=weight.linked,
        removed_in=key.removed_in + 1 if key.removed_in >= 0 else None,
        is_base=key.layer < base.layers,
        expected="" if outcome is None else outcome.state.value,
        remedies=advisor.each(recipe, key.cache, outcome),
    )


def _outcome(manager: str, cache: str, outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the last thing that a layer's command does to a cache; a fill that is left comes before all others."""
    found = [item for item in outcomes if (item.fill.recipe.id, item.fill.cache.id) == (manager, cache)]
    return next((item for item in found if item.state == Status.LEFT), found[-1] if found else None)


def _remedies(
    leftovers: Sequence[Leftover], outcomes: Mapping[int, Sequence[Outcome]], advisor: Advisor
) -> Iterator[tuple[int, str, tuple[Advice, ...]]]:
    """Yield by layer and manager the remedies for all its caches there."""
    caches: dict[tuple[int, str], dict[str, None]] = {}
    for item in leftovers:
        if item.bytes:
            caches.setdefault((item.layer, item.manager), {})[item.cache] = None
    for (layer, manager), names in caches.items():
        yield layer, manager, advisor.together(manager, names, outcomes.get(layer - 1, ()))


def _told_places(outcomes: Iterable[Outcome]) -> Iterator[Place]:
    """Yield where caches are as the commands of the history say."""
    for item in outcomes:
        # A version that is not known gives several paths for one fill; those are among the others already.
        if len(item.fill.paths) == 1 and is_place(item.fill.paths[0]):
            yield Place(item.fill.recipe, item.fill.cache, pattern(item.fill.paths[0]))


def _known_base(library: Library, name: str, system: str, configuration: Configuration) -> str:
    """Return the name of an image by which the library knows this one's base: its versions, its kind of system."""
    guesses = [name]
    environment = configuration.environment
    for variable, official in (("NODE_VERSION", "node"), ("PYTHON_VERSION", "python"), ("GOLANG_VERSION", "golang")):
        if value := environment.get(variable):
            guesses.append(f"{official}:{value.removeprefix('v')}")
    fields = _os_release(system)
    if identifier := fields.get("ID"):
        guesses.append(f"{identifier}:{fields.get('VERSION_ID') or fields.get('VERSION_CODENAME') or 'latest'}")
    for image in guesses:
        if image and re.fullmatch(r"[\w][\w./:@-]*", image) and library.base(image).family:
            return image
    return name if re.fullmatch(r"[\w][\w./:@-]*", name or " ") else "scratch"


def _os_release(system: str) -> dict[str, str]:
    fields = {}
    for line in system.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            fields[key.strip()] = value.strip().strip("\"'")
    return fields


def _os_name(system: str) -> str:
    fields = _os_release(system)
    return fields.get("PRETTY_NAME") or fields.get("ID", "")


def _hidden(tree: Tree, layers: int) -> list[int]:
    """Return for each layer the bytes of its files that no later layer shows any more."""
    gone = [0] * layers
    names: dict[int, int] = {}
    for folder in tree.hidden.values():
        for number in tree.inodes(folder):
            names[number] = names.get(number, 0) + 1
    for number, count in names.items():
        if count >= tree.links[number]:
            gone[tree.layers[number]] += tree.sizes[number]
    return gone


def waste_by_manager(audit: Audit) -> Iterator[tuple[str, int, int, dict[str, int]]]:
    """Yield manager, bytes, stored bytes and bytes by cache; the heaviest first."""
    sums: dict[str, dict[str, int]] = {}
    stored: dict[str, int] = {}
    for leftover in audit.leftovers:
        caches = sums.setdefault(leftover.manager, {})
        caches[leftover.cache] = caches.get(leftover.cache, 0) + leftover.bytes
        stored[leftover.manager] = stored.get(leftover.manager, 0) + leftover.stored
    for manager, caches in sorted(sums.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        yield manager, sum(caches.values()), stored[manager], caches
