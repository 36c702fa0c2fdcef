"""What is known of one version of a document: its ledger, its findings, the settings in force. No protocol in here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from cleanroom.api import check, fix
from cleanroom.engine.ledger import Ledger
from cleanroom.lint.check import Options, read, run_rules, with_fix
from cleanroom.lint.findings import Finding, Problem
from cleanroom.project.discover import reader_of
from cleanroom.project.files import Wish, arguments, find
from cleanroom.project.names import UnknownName
from cleanroom.project.settings import SettingsError
from cleanroom.recipes.model import RecipeError
from cleanroom.registries import READERS, RULES
from cleanroom.syntax.readers import Reader

_LANGUAGES = {"dockerfile": "dockerfile", "containerfile": "dockerfile", "docker": "dockerfile"}


class Analysis(Struct, frozen=True):
    """One version of a document. Without a ledger, ``problems`` say why."""

    text: str
    version: int | None
    arguments: dict[str, Any]  # of check and fix
    ledger: Ledger | None = None
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()

    def fix_all(self) -> str:
        """Return the text after ``cleanroom fix``."""
        return fix(self.text, **self.arguments).text

    def ledger_of(self, text: str) -> Ledger | None:
        """Return the ledger of another text in the place of this one, None where it cannot be read."""
        ledger = read(text, Options(**self.arguments))
        return None if isinstance(ledger, Problem) else ledger


def analyse(path: str, language: str, text: str, version: int | None) -> Analysis | None:
    """Return what is known of a document, None where it is none that holds build steps, or is excluded.

    ``path`` is where it lies, or will; ``language`` is what the editor takes it for.
    """
    reader = _reader(path, language, text)
    if reader is None:
        return None
    try:
        files = find([path], Wish(force_exclude=True)).files
        if not files:
            return None
        given = arguments(files[0], reader.name)
    except (SettingsError, UnknownName, RecipeError) as error:  # it names the file
        return Analysis(text, version, {}, problems=(Problem(1, 1, str(error)),))
    if reader.embedded is not None:  # several Dockerfiles, each with a ledger of its own
        report = check(text, **given)
        return Analysis(text, version, given, None, report.findings, report.errors)
    ledger = read(text, Options(**given))
    if isinstance(ledger, Problem):
        return Analysis(text, version, given, problems=(ledger,))
    found, _ = run_rules(ledger, RULES, Options(**given))
    mended = tuple(with_fix(ledger, finding, given["prefer"]) for finding in found)
    return Analysis(text, version, given, ledger, mended)


def _reader(path: str, language: str, text: str) -> Reader | None:
    """Return who reads a document: by its name, else by its language."""
    reader = reader_of(Path(path).name)
    if reader is not None and reader.recognises is not None and not reader.recognises(text):
        reader = None
    return reader or READERS.get(_LANGUAGES.get(language, language))
