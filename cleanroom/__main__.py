"""The command ``cleanroom``, and ``python -m cleanroom``.

Calls without options, which are most, are answered without click, since it takes longer to import than they take.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cleanroom import registries
from cleanroom.project import exits

if TYPE_CHECKING:
    from typing import NoReturn


def run() -> NoReturn:
    """Run the command line and end the process: what is installed as ``cleanroom``."""
    gc.set_threshold(50_000)  # objects; by default, garbage is looked for many times before one small file is read
    answer = _plain(sys.argv[1:])
    if answer is None:
        from cleanroom import cli

        sys.exit(cli.main())
    code = _give(answer)
    if sys.gettrace():  # someone watches, and will want to say what was seen
        sys.exit(code)
    # All is written; the system frees the memory at once, Python piece by piece.
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    answer = _plain(sys.argv[1:] if arguments is None else arguments)
    if answer is None:
        from cleanroom.cli import main

        return main(arguments)
    return _give(answer)


def _give(answer: Callable[[], int]) -> int:
    exits.write_anything()
    try:
        code = answer()
        sys.stdout.flush()
        registries.plugins().say_problems()
    except BrokenPipeError:
        return exits.reader_gone()
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        return exits.INTERRUPTED
    except Exception as error:
        sys.stderr.write(f"Error: {exits.internal_error(error)}\n")
        return exits.TROUBLE
    return code


def _plain(arguments: Sequence[str]) -> Callable[[], int] | None:
    """Return what answers a call without options; None where anything is unusual.

    What goes wrong here goes wrong with click too, which then says it; so nothing is printed yet.
    """
    command, *names = arguments or [""]
    if sys.platform == "win32" or not names or any(name.startswith("-") and name != "-" for name in names):
        return None
    try:
        if command == "check":
            return _check(names)
        if command == "query" and len(names) == 1:
            return _query(names[0])
    except KeyboardInterrupt:
        return _interrupt
    except Exception:
        return None
    return None


def _interrupt() -> int:
    raise KeyboardInterrupt


def _check(paths: Sequence[str]) -> Callable[[], int]:
    from cleanroom.project import check

    found = check.find(paths)
    return lambda: check.run(found)


def _query(manager: str) -> Callable[[], int]:
    from cleanroom.recipes.query import query

    library = registries.library()
    answer = query(library.find(manager), library)

    def write() -> int:
        sys.stdout.write(f"{answer.text}\n")
        sys.stdout.flush()  # on a terminal both streams are one
        sys.stderr.write("".join(f"{remark}\n" for remark in answer.remarks()))
        return 0

    return write


if __name__ == "__main__":  # a worker process imports this file under another name
    sys.exit(main())
