"""Pages of HTML from templates, every value escaped; needs the extra ``html``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cleanroom.formats.values import printable, size

if TYPE_CHECKING:
    from jinja2 import Environment


class ExtraMissingError(Exception):
    """A library that pages need is not installed. The message says what to install."""


def templates(module: str) -> Environment:
    """Return the templates that lie beside a module, given as its ``__file__``. Raises ExtraMissingError.

    They have the filters ``printable``, for text from outside (control characters are shown, not sent), and ``size``,
    for bytes. What is not there is an error.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ExtraMissingError(
            "pages of HTML need Jinja2, which is not installed; install it with: pip install 'cleanroom-recipes[html]'"
        ) from None
    found = Environment(
        loader=FileSystemLoader(Path(module).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(printable=printable, size=size)
    return found
