"""The command ``cleanroom``, and ``python -m cleanroom``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import NoReturn

from cleanroom.project import exits


def run() -> NoReturn:
    """Run the command line and end the process: what is installed as ``cleanroom``."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    gc.set_threshold(50_000)  # objects; by default, garbage is looked for many times before one small file is read
    command, *paths = (sys.argv[1:] if arguments is None else arguments) or [""]
    # click takes longer to import than a small file to check; on Windows it expands patterns.
    if command == "check" and paths and sys.platform != "win32" and not any(map(_is_option, paths)):
        from cleanroom.project import check

        try:
            found = check.find(paths)
        except KeyboardInterrupt:
            return exits.interrupted()
        except Exception:  # found again below, and said there
            pass
        else:
            return exits.run(lambda: check.run(found))
    from cleanroom import cli

    return cli.main(arguments)


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


if __name__ == "__main__":  # a worker process imports this file under another name
    run()
