"""What the engine finds: one YAML file a topic or a manager, the Dockerfile beside what is expected.

Cases are as ``cleanroom.testing`` describes them. The required fields that a case's ``recipe`` leaves out are those of
library/problems.yaml.
"""

from __future__ import annotations

from typing import Any

import pytest

from cleanroom.recipes.library import Library
from cleanroom.recipes.load import parse_recipe
from cleanroom.recipes.sources import shipped
from cleanroom.recipes.validate import validate_recipe
from cleanroom.testing import cases, check_case
from tests.support import CASE_FILES, case_file, parse_yaml

FOLDERS = ("engine", "lint", "lint/rules", "formats", "recipes")
CASES = [case for folder in FOLDERS for case in cases(CASE_FILES / folder)]
REST = case_file("library/problems.yaml")["rest"]


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any]) -> None:
    library = None
    if "recipe" in case:
        given = parse_yaml(case["recipe"])
        text = case["recipe"] + "".join(f"{line}\n" for field, line in REST.items() if field not in given)
        assert not validate_recipe(text, "foo.yaml")
        library = Library([shipped()], [parse_recipe(text, "foo.yaml")])
    check_case(case, library)
