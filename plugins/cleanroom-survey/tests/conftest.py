from pathlib import Path

import pytest

SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture
def shared() -> Path:
    """Return the folder of the material that development and CI have beside the project."""
    if not SHARED.is_dir():
        pytest.skip("optional: needs the material that development and CI have beside the project")
    return SHARED
