"""Fixes for clean-ups that are there and do not do what they say, and for RUNs that belong together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cleanroom.findings import Finding, Fix
from cleanroom.ledger import Ledger

FIXERS: Mapping[str, Callable[[Ledger, Finding, str, bool], Fix]] = {}
