"""How git is called on a repository of others: it only reads, and runs nothing that the repository names."""

from __future__ import annotations

import os

# The repository's own settings may name programs to run: of a diff, of filters, of a monitor of its files, of hooks.
_SAFE = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "diff.external=", "-c", "core.pager=cat"),
    *("--no-optional-locks", "--no-replace-objects"),
)
_ENVIRONMENT = {
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # for a git that does not know the above: whatever the repository says, no transport
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def command(root: str, *arguments: str) -> list[str]:
    """Return the command line of a git command in the repository at ``root``."""
    return ["git", "-C", root, *_SAFE, *arguments]


def environment() -> dict[str, str]:
    """Return the environment in which git is to run."""
    return {**os.environ, **_ENVIRONMENT}
