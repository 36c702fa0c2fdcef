"""Writes all recipes as one file of JSON beside them, so that no start reads YAML: for wheels and checkouts alike."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch calls it when it builds a wheel, also one for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatch's signature
        """Write the file; the wheel then takes it with the folder."""
        sys.path.insert(0, self.root)
        try:
            from cleanroom.recipes.sources import compile_yaml

            compile_yaml(str(Path(self.root, "recipes")))
        finally:
            sys.path.remove(self.root)
