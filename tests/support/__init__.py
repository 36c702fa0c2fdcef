"""What several tests need: where things are, and modules that make, run or read something for a test."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CASE_FILES = ROOT / "tests" / "cases"
SHARED = ROOT.parent / "shared"  # material that development and CI have beside the project
