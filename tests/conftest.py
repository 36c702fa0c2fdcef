import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import SHARED

settings.register_profile("cleanroom", deadline=None)  # the machine may be busy
settings.load_profile("cleanroom")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not SHARED.is_dir():
        skip = pytest.mark.skip(reason="needs the material that development and CI have beside the project")
        for item in items:
            if item.get_closest_marker("shared"):
                item.add_marker(skip)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> object:
    """Where the shared material must be there, a test that wants it and is skipped has failed."""
    report = yield
    is_skipped = report.skipped and not hasattr(report, "wasxfail")
    if is_skipped and item.get_closest_marker("shared") and os.environ.get("CLEANROOM_REQUIRE_SHARED"):
        report.outcome = "failed"
        report.longrepr = f"skipped though CLEANROOM_REQUIRE_SHARED is set: {report.longrepr}"
    return report


@pytest.fixture
def shared() -> Path:
    return SHARED
