"""The calls for Python: each fills in what ships and what plugins add, where the caller does not say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from cleanroom.registries import RULES, library

if TYPE_CHECKING:
    from cleanroom.lint.findings import Fixed, Report
    from cleanroom.recipes.library import Library
    from cleanroom.syntax.readers import Reader

__all__ = ["check", "fix", "library"]


def check(
    text: str,
    *,
    library: Library | None = None,
    target: str | None = None,
    read_file: Callable[[str], str | None] | None = None,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    prefer: str = "",
    fixes: bool = True,
    reader: Reader | None = None,
    severity: Collection[tuple[str, str]] = (),
) -> Report:
    """Check the text of a Dockerfile.

    ``target`` names the stage that ships. ``read_file`` gives the text of a file of the build context (by its path
    there) or None; scripts that are copied in are read with it. ``select`` and ``ignore`` hold rules: ``left-behind``,
    ``left-behind[apt]``, ``left-behind[apt.lists]``. ``prefer`` (``clean``, ``prevent``, ``mount``) puts that kind of
    remedy first. Without ``fixes`` no finding has a fix, which is quicker. ``reader`` reads text that is no
    Dockerfile. ``severity`` holds pairs of a rule and the severity of its findings, of which the
    last counts. What cannot be read comes back in ``Report.errors``; nothing is raised.
    """
    from cleanroom.lint.check import Options, check, read
    from cleanroom.lint.findings import Problem, Report

    options = Options(library or _library(), target, read_file, select, ignore, prefer, reader, severity)
    if reader is not None and reader.embedded is not None:
        from cleanroom.lint import embedded

        return embedded.check(text, options, RULES, fixes=fixes)
    ledger = read(text, options)
    if isinstance(ledger, Problem):
        return Report(errors=(ledger,))
    return check(ledger, RULES, options, fixes=fixes)


def fix(
    text: str,
    *,
    library: Library | None = None,
    target: str | None = None,
    read_file: Callable[[str], str | None] | None = None,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    prefer: str = "",
    unsafe: bool = False,
    reader: Reader | None = None,
    severity: Collection[tuple[str, str]] = (),
) -> Fixed:
    """Apply the fixes of what ``check`` finds in the text of a Dockerfile; the parameters are those of ``check``.

    ``unsafe`` also applies the fixes that are right only if the author agrees. Nothing is raised: what cannot be read
    comes back in ``errors``, and the text as it was.
    """
    from cleanroom.lint.check import Options
    from cleanroom.lint.fix import fix

    options = Options(library or _library(), target, read_file, select, ignore, prefer, reader, severity)
    if reader is not None and reader.embedded is not None:
        from cleanroom.lint import embedded

        return embedded.fix(text, options, RULES, unsafe=unsafe)
    return fix(text, options, RULES, unsafe=unsafe)


_library = library  # by another name, where a parameter has this one
