"""The option ``--require-all``, for a machine that has what every test needs: a test that is skipped there has failed.

A reason that begins with "optional: " still skips. Plugins' tests get it with ``-p tests.support.required``.
"""

from __future__ import annotations

from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-all", action="store_true", help="fail tests that would be skipped, as CI does")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return _required(item.config, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return _required(collector.config, (yield))


def _required(config: pytest.Config, report: Any) -> Any:
    if config.getoption("require_all") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "optional: " not in reason:
            report.outcome = "failed"
            report.longrepr = f"skipped, though --require-all is given: {reason}"
    return report
