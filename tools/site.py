"""Build the docs as a site, with search: ``python tools/site.py FOLDER``. Needs mkdocs.

The pages are those of ``docs``, the README as the first, and what ``cleanroom export markdown`` writes. Links to files
of the repository that are on no page become their text: the site says no address that it does not have.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s:]+)\)")


def main(out: str) -> None:
    """Write the site into a folder. Raises CalledProcessError where a link leads nowhere."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "docs"
        shutil.copytree(ROOT / "docs", source)
        (source / "index.md").write_text((ROOT / "README.md").read_text("utf-8").replace("](docs/", "]("), "utf-8")
        export = [sys.executable, "-m", "cleanroom", "export", "markdown", "-o", str(source / "knowledge")]
        subprocess.run(export, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for page in source.rglob("*.md"):
            page.write_text(_inside(page, source), "utf-8")
        settings = Path(folder) / "mkdocs.yml"
        shutil.copy(ROOT / "mkdocs.yml", settings)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", str(settings)]
        subprocess.run([*command, "-d", str(Path(out).resolve())], check=True)


def _inside(page: Path, source: Path) -> str:
    """Return the text of a page without links that lead out of the site."""

    def link(match: re.Match[str]) -> str:
        target = page.parent / match[2].partition("#")[0]
        is_page = match[2].startswith("#") or (target.is_file() and target.resolve().is_relative_to(source.resolve()))
        return match[0] if is_page else match[1]

    return _LINK.sub(link, page.read_text("utf-8"))


if __name__ == "__main__":
    main(sys.argv[1])
