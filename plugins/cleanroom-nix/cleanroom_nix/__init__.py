"""What Nix leaves behind in container images."""

import os.path
from collections.abc import Iterator

from cleanroom import hookimpl


@hookimpl
def cleanroom_recipes() -> Iterator[str]:
    """Yield the folder of recipes."""
    yield os.path.join(os.path.dirname(__file__), "recipes")
