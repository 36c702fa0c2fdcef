"""What managers' own lists say that an image could do without: recommended packages, development dependencies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

STATUS, AUTOMATIC, LISTS = b"var/lib/dpkg/status", b"var/lib/apt/extended_states", b"var/lib/dpkg/info"
LOCK = b"node_modules/.package-lock.json"
_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package of dpkg. Each relation is a list of names of which one is enough."""

    name: str
    architecture: str
    needs: tuple[tuple[str, ...], ...]
    recommends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]


def installed(status: str) -> Mapping[str, Package]:
    """Return the packages that dpkg's list of them says are installed.

    Source: https://www.debian.org/doc/debian-policy/ch-relationships.html
    """
    found = {}
    for fields in _stanzas(status):
        if fields.get("status", "").endswith(" installed"):
            needs = (*_relations(fields.get("pre-depends", "")), *_relations(fields.get("depends", "")))
            found[fields.get("package", "")] = Package(
                fields.get("package", ""),
                fields.get("architecture", ""),
                needs,
                tuple(_relations(fields.get("recommends", ""))),
                tuple(name for names in _relations(fields.get("provides", "")) for name in names),
            )
    return found


def only_recommended(packages: Mapping[str, Package], automatic: str) -> list[Package]:
    """Return the packages that came along though nothing that was asked for needs them; ``automatic`` is apt's list."""
    came_along = {fields.get("package", "") for fields in _stanzas(automatic) if fields.get("auto-installed") == "1"}
    needed = _closure(packages, (name for name in packages if name not in came_along), recommended=())
    wanted = _closure(packages, needed, recommended=packages)
    return [packages[name] for name in packages if name in wanted and name not in needed]


def _closure(packages: Mapping[str, Package], start: Iterable[str], recommended: Iterable[str]) -> set[str]:
    """Return all that these packages need, and what those of ``recommended`` recommend."""
    providers: dict[str, list[str]] = {}
    for package in packages.values():
        for name in (package.name, *package.provides):
            providers.setdefault(name, []).append(package.name)
    follows = set(recommended)
    found = set(start)
    stack = list(found)
    while stack:
        package = packages[stack.pop()]
        for alternatives in (*package.needs, *(package.recommends if package.name in follows else ())):
            for name in alternatives:
                for provider in providers.get(name, ()):
                    if provider not in found:
                        found.add(provider)
                        stack.append(provider)
    return found


def _stanzas(text: str) -> Iterator[Mapping[str, str]]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                continue  # more of a field that is not wanted here: relations stand on one line in dpkg's list
            last, colon, value = line.partition(":")
            if colon:
                fields[last.lower()] = value.strip()
        if fields:
            yield fields


def _relations(text: str) -> Iterator[tuple[str, ...]]:
    for part in text.split(","):
        names = tuple(match[1] for choice in part.split("|") if (match := _RELATION.match(choice)))
        if names:
            yield names


def development(lock: bytes) -> Iterator[bytes]:
    """Yield the folders of development dependencies, from npm's list of what it installed, relative to it.

    Source: https://docs.npmjs.com/cli/v10/configuring-npm/package-lock-json#hidden-lockfiles
    """
    try:
        packages = json.loads(lock)["packages"]
        names = [name for name, said in packages.items() if isinstance(said, dict) and said.get("dev") is True]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return
    yield from (name.encode("utf-8", "surrogatepass") for name in names if ".." not in name.split("/"))
