"""What Nix leaves behind in container images."""

from collections.abc import Iterator
from pathlib import Path

from cleanroom import hookimpl


@hookimpl
def cleanroom_recipes() -> Iterator[Path]:
    """Yield the folder of recipes."""
    yield Path(__file__).parent / "recipes"
