"""Writes the recipes into the wheel as Python too, since YAML takes long to read: the YAML stays the truth.

The wheel gets a package ``cleanroom/_compiled``: a module for each recipe, one for the base images, and what each
recipe goes by. A checkout and an editable installation have none, and read the YAML.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompileRecipes(BuildHookInterface):  # type: ignore[type-arg]
    """The build hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the modules and have the wheel include them."""
        if version == "editable":
            return
        self.folder = Path(tempfile.mkdtemp())
        for name, text in modules(Path(self.root)).items():
            file = self.folder / f"{name}.py"
            file.write_text(text, encoding="utf-8")
            build_data["force_include"][str(file)] = f"cleanroom/_compiled/{name}.py"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove them."""
        if version != "editable":
            shutil.rmtree(self.folder)


def modules(root: Path) -> dict[str, str]:
    """Return the text of each module of ``cleanroom/_compiled`` by its name, for the checkout at ``root``."""
    sys.path.insert(0, str(root))
    try:
        from cleanroom.recipes import model
        from cleanroom.recipes.claims import claims_of
        from cleanroom.recipes.sources import Files
    finally:
        sys.path.remove(str(root))
    source = Files(root / "recipes")
    recipes = {identifier: source.recipe(identifier) for identifier in source.ids()}
    claims = {identifier: claims_of(found) for identifier, found in recipes.items()}
    records = sorted(name for name, value in vars(model).items() if dataclasses.is_dataclass(value))
    head = f"from types import MappingProxyType\n\nfrom cleanroom.recipes.model import {', '.join(records)}\n"
    folder = 'os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "recipes", "data")'
    result = {
        "__init__": f"import os\n{head}\nFOLDER = {folder}\nCLAIMS = {expression(claims)}\n",
        "bases": f"{head}\nBASES = {expression(source.bases())}\n",
    }
    for identifier, found in recipes.items():
        fields = expression(dataclasses.replace(found, origin="")).removesuffix(")")
        origin = f'os.path.join(FOLDER, "{identifier}.yaml")'
        result[f"recipe_{identifier}"] = (
            f"import os\n{head}from cleanroom._compiled import FOLDER\n\nRECIPE = {fields}, origin={origin})\n"
        )
    return result


def expression(value: Any) -> str:
    """Return Python that makes ``value``; fields that have their default are left out."""
    if dataclasses.is_dataclass(value):
        given = ", ".join(
            f"{field.name}={expression(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        )
        return f"{type(value).__name__}({given})"
    if isinstance(value, tuple):
        return f"({''.join(f'{expression(item)}, ' for item in value)})"
    if isinstance(value, Mapping):
        return f"MappingProxyType({{{', '.join(f'{key!r}: {expression(item)}' for key, item in value.items())}}})"
    return repr(value)


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return bool(value == field.default)
