"""How the command line ends: its exit codes (0: nothing found), and what it says when something went wrong inside."""

from __future__ import annotations

import os
import sys

FINDINGS = 1  # at or over --fail-on; or files that are not in canonical form
TROUBLE = 2  # usage, a file that cannot be read, a fault of ours
INTERRUPTED = 130  # as a shell reports SIGINT
READER_GONE = 141  # as a shell reports SIGPIPE


def reader_gone() -> int:
    """Return the exit code for when the reader of our output went away (``| head``)."""
    # Nothing more can be written, not even at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return READER_GONE


def write_anything() -> None:
    """Let standard output take text that its encoding lacks; standard error escapes that by itself."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def internal_error(error: Exception, *, verbose: bool = False) -> str:
    """Return the line about an error that no one foresaw."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"internal error: {what}" + ("" if verbose else "; run again with -v for the traceback")
