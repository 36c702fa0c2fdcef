"""What plugins cost when cleanroom starts, beside a start without any, in one run on one machine.

    python benchmarks/plugins.py

`cleanroom` has to stand beside this Python, from a wheel (`pip install .`): an editable installation reads YAML. The
plugins are distributions on PYTHONPATH, as an installer would leave them, each with one recipe. What their modules
import takes its time in any program; that is measured without cleanroom's part, and taken off.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cleanroom.cli import scaffold

WANTED = 1.3
DOCKERFILE = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"
# The command, with what the plugins import imported before, and no plugin to be found.
IMPORTED = "import sys; import {modules}; from cleanroom.__main__ import run; run()"
PLAIN = "import sys; from cleanroom.__main__ import run; run()"


def main() -> None:
    """Measure, and print a table; exit 1 when the ratio is over what is wanted."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--plugins", type=int, default=50, help="how many are installed (default: 50)")
    arguments.add_argument("--runs", type=int, default=25, help="how often each is measured (default: 25)")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with_plugins, modules_only = Path(folder, "with"), Path(folder, "without")
        names = [f"zap{number}" for number in range(options.plugins)]
        for place in (with_plugins, modules_only):
            place.mkdir()
            for name in names:
                install(place, name, is_distribution=place is with_plugins)
        dockerfile = Path(folder, "Dockerfile")
        dockerfile.write_text(DOCKERFILE)
        imported = IMPORTED.format(modules=", ".join(f"cleanroom_{name}" for name in names))
        print(f"{'measure':<12}{'none':>10}{'imports':>10}{f'{len(names)} plugins':>14}{'ratio':>8}   wanted")
        ratios = []
        for words in (["query", "apt"], ["check", str(dockerfile)]):
            none, imports, all_ = medians(
                [
                    ([sys.executable, "-c", PLAIN, *words], modules_only),
                    ([sys.executable, "-c", imported, *words], modules_only),
                    ([sys.executable, "-c", PLAIN, *words], with_plugins),
                ],
                options.runs,
            )
            ratios.append((all_ - (imports - none)) / none)
            cost = f"{1000 * none:>7.1f} ms{1000 * (imports - none):>7.1f} ms{1000 * all_:>11.1f} ms"
            print(f"{words[0]:<12}{cost}{ratios[-1]:>8.2f}   <= {WANTED}")
    sys.exit(any(ratio > WANTED for ratio in ratios))


def install(place: Path, name: str, *, is_distribution: bool) -> None:
    """Leave a plugin in a folder as an installer would; only its modules, unless it is a distribution."""
    for path, text in scaffold.plugin(name).items():
        if path.startswith("cleanroom_"):
            file = place / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if is_distribution:
        info = place / f"cleanroom_{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: cleanroom-{name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[cleanroom]\n{name} = cleanroom_{name}\n")


def medians(calls: list[tuple[list[str], Path]], runs: int) -> list[float]:
    """Return the median of what each command takes, measured in turn, so that what else happens hits all."""
    for command, path in calls:
        cpu(command, path)
    times = [[cpu(command, path) for command, path in calls] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def cpu(command: list[str], path: Path) -> float:
    """Return the seconds of processor time that a command takes with a folder on its path.

    It runs beside that folder, since Python itself adds the one it runs in, and cleanroom would search it twice.

    Exits when the command fails, or has something to say of a plugin.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or "plugin " in done.stderr or not done.stdout:
        sys.exit(f"{command[-2:]} exits {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
