"""The links of recipes: where each stands, whether its form is sound, and whether it still leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult, urlsplit

import yaml
from msgspec import Struct

from cleanroom.recipes.model import RecipeProblem
from cleanroom.recipes.yaml import compose_plain

_FIELDS = ("homepage", "source", "sources")
_WHERE = (  # the paths below github.com/OWNER/NAME that are known to stand for something
    r"(issues|pull|discussions)/\d+(/files|\.diff)?|commit/[0-9a-f]{7,40}|(blob|tree|raw)/[^/]+(/.+)?"
    r"|releases(/tag/[^/]+)?|wiki(/[^/]+)?|security/advisories/[\w-]+"
)
_GITLAB = r"(/(?!-/)[\w.-]+)+(/-/((issues|merge_requests)/\d+|(blob|tree|raw|commit|wikis|releases)/.+))?"


class Link(Struct, frozen=True, order=True, kw_only=True):
    """A link and where it stands: ``line`` and ``column`` are 1-based, columns count characters."""

    file: str
    line: int
    column: int
    url: str
    field: str  # the one it stands in: homepage, source, sources
    among: int = 0  # the line that the list begins on which it is an item of


def links(text: str | bytes, file: str) -> Iterator[Link]:
    """Yield the links of a recipe (or of ``bases.yaml``) in their order. Raises RecipeError for what is no YAML."""
    waiting: list[tuple[yaml.Node, str, int]] = [(compose_plain(text, file), "", 0)]
    while waiting:
        node, field, among = waiting.pop()
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if isinstance(node, yaml.MappingNode):
            waiting += [(value, str(key.value), 0) for key, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(item, field, line) for item in reversed(node.value)]
        elif field in _FIELDS:
            yield Link(file=file, line=line, column=column, url=node.value, field=field, among=among)


def form_problems(found: Iterable[Link]) -> Iterator[RecipeProblem]:
    """Yield what is wrong with the form of the links of one file, or that a list has one twice; no net is needed."""
    listed: dict[tuple[int, str], Link] = {}
    for link in found:
        if fault := fault_of(link.url):
            yield _problem(link, fault)
        elif link.field == "sources":
            same = link.among, _canonical(link.url)
            if first := listed.get(same):
                yield _problem(link, f"{link.url} stands in line {first.line} already")
            else:
                listed[same] = link


def fault_of(url: str) -> str:
    """Return what is wrong with the form of a link, "" when nothing is."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError as error:
        return f"{url} is no link: {error}"
    if url.startswith("#"):
        return f"{url} is a part of a page, without the page"
    if parts.scheme != "https":
        return f"{url} does not begin with https://"
    if not re.fullmatch(r"(?=.*[a-z])[a-z0-9-]+(\.[a-z0-9-]+)+", host) or port or "@" in parts.netloc:
        return f"{url} names no public host"
    if re.search(r"\s|[<>\"`{}|\\^]", url):
        return f"{url} has a character that links do not have"
    if url.endswith(("#", "?")) or re.search(r"[?&]utm_", url):
        return f"{url} has something at its end that says nothing"
    return _thread_fault(url, parts, host)


def _thread_fault(url: str, parts: SplitResult, host: str) -> str:
    path = parts.path.rstrip("/")
    if host in ("www.github.com", "www.gitlab.com"):
        return f"{url} is {host.removeprefix('www.')} by another name"
    if host == "github.com" and not re.fullmatch(rf"/[\w.-]+/[\w.-]+(/({_WHERE}))?|/[\w.-]+", path):
        return f"{url} is no repository, file, commit, release, issue, pull request or discussion of GitHub"
    if host == "gitlab.com" and not re.fullmatch(_GITLAB, path):
        return f"{url} is no project, file, commit, issue or merge request of GitLab"
    return ""


def _canonical(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.lower(), path=parts.path.rstrip("/")).geturl()


def _problem(link: Link, message: str) -> RecipeProblem:
    return RecipeProblem(link.file, link.line, link.column, message)


def unreachable(found: Sequence[Link], timeout: float, workers: int = 8) -> list[RecipeProblem]:
    """Open every link, each page once, and return those that lead nowhere, with why.

    ``timeout`` is in seconds, for each answer. A server that is there and refuses a program (401, 403, 405, 429) is
    no proof that a page is gone, and is no problem here.
    """
    pages = list(dict.fromkeys(link.url.partition("#")[0] for link in found))
    with ThreadPoolExecutor(workers) as pool:
        faults = dict(zip(pages, pool.map(lambda page: _open(page, timeout), pages), strict=True))
    return [_problem(link, f"{link.url}: {fault}") for link in found if (fault := faults[link.url.partition("#")[0]])]


def _open(page: str, timeout: float) -> str:
    """Return why a page cannot be had, "" when it can."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    for method in ("HEAD", "GET"):  # some servers know no HEAD, or answer it with another code
        request = Request(page, method=method, headers={"User-Agent": "cleanroom recipes links"})
        try:
            with urlopen(request, timeout=timeout):
                return ""
        except HTTPError as error:
            error.close()
            if error.code in (401, 403, 405, 429) and method == "GET":
                return ""
            fault = f"the server answers {error.code} {error.reason}"
        except URLError as error:
            return f"no answer: {error.reason}"
        except (OSError, HTTPException, ValueError) as error:
            return f"no answer: {error or type(error).__name__}"
    return fault
