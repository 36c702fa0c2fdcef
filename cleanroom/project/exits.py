"""How the command line ends: its exit codes (0: nothing found), and what it says when something went wrong inside."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from cleanroom import registries
from cleanroom.plugins.registry import PluginFailed

FINDINGS = 1  # at or over --fail-on; or files that are not in canonical form
ERROR = 2  # usage, a file that cannot be read, a fault of ours
INTERRUPTED = 130  # as a shell reports SIGINT
READER_GONE = 141  # as a shell reports SIGPIPE


class _Closed(io.TextIOBase):
    """What stands for a standard output that the caller closed."""

    def write(self, _: str) -> NoReturn:
        raise OSError(errno.EBADF, "it is closed")


def write_anything() -> None:
    """Let standard output take text that its encoding lacks; standard error escapes that by itself."""
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def run(
    work: Callable[[], int | None],
    *,
    verbose: Callable[[], bool] = lambda: False,
    passes: tuple[type[Exception], ...] = (),
) -> int:
    """Do the work of a command, say what is wrong with plugins, and return the exit code, whatever happens.

    ``verbose`` is asked at the end whether tracebacks are wanted. Exceptions that it ``passes`` are raised.
    """
    write_anything()
    try:
        code = work() or 0
        sys.stdout.flush()
        registries.plugins().say_problems(verbose=verbose())
    except BrokenPipeError:
        # Nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        return interrupted()
    except passes:
        raise
    except PluginFailed as error:
        registries.plugins().say_problems(verbose=verbose())
        sys.stderr.write(f"Error: {error}\n")
        return ERROR
    except Exception as error:
        if verbose():
            import traceback

            traceback.print_exc()
        sys.stderr.write(f"Error: {internal_error(error, verbose=verbose())}\n")
        return ERROR
    return code


def interrupted() -> int:
    """Say that the person stopped it, and return the exit code for that."""
    sys.stderr.write("\nInterrupted.\n")
    return INTERRUPTED


def internal_error(error: Exception, *, verbose: bool = False) -> str:
    """Return the line about an error that no command foresaw: a full disk, a folder that is gone, a fault of ours."""
    if isinstance(error, OSError) and (line := _bad_day(error)):
        return line
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return f"internal error: {what}" + ("" if verbose else "; run again with -v for the traceback")


def _bad_day(error: OSError) -> str:
    """Return what went wrong outside of cleanroom, "" where that is not known."""
    try:
        os.getcwd()
    except OSError:
        return "the current folder is gone"
    what = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF):
        return f"{error.filename or 'standard output'} cannot be written: {what}"
    return ""
