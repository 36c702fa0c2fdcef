"""How much of what cleanroom finds the exported rules find too, in the linters they are for.

    python benchmarks/exports.py DOCKERFILES

DOCKERFILES is a folder; 300 files of it are drawn. `semgrep` and `checkov` have to be on PATH, `regopy` and
`dockerfile` beside this Python; a tool that is not there is left out.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracles import linters as export_tools


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dockerfiles", type=Path)
    arguments.add_argument("--sample", type=int, default=300)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--show", type=int, default=0, help="name so many differences")
    given = arguments.parse_args()
    files = sorted(file for file in given.dockerfiles.rglob("*") if file.is_file())
    texts = {
        str(file.relative_to(given.dockerfiles)): file.read_text("utf-8", "replace")
        for file in random.Random(given.seed).sample(files, min(given.sample, len(files)))
    }
    with tempfile.TemporaryDirectory() as place:
        folder = export_tools.lay_out(texts, Path(place) / "dockerfiles")
        print("| rules for | findings of cleanroom | found too | % | reported, and no finding of cleanroom |")
        print("|---|---:|---:|---:|---:|")
        for tool, run in export_tools.TOOLS.items():
            if not export_tools.is_there(tool):
                print(f"{tool} is not installed", file=sys.stderr)
                continue
            mine, both, more = export_tools.compare(tool, folder, Path(place) / tool)
            print(f"| {tool} | {mine} | {both} | {100 * both / max(mine, 1):.0f} | {more} |", flush=True)
            if given.show:
                ours, theirs = export_tools.ours(folder), run(folder, Path(place) / tool)
                if tool == "checkov":
                    ours = {(file, 0, cache) for file, _, cache in ours}
                for name, rows in (("missed", ours - theirs), ("more", theirs - ours)):
                    for row in sorted(rows)[: given.show]:
                        print(f"  {tool} {name}: {row}", file=sys.stderr)


if __name__ == "__main__":
    main()
