"""What a survey costs as the number of Dockerfiles grows: files per second, peak memory, size of the tables.

    python benchmarks/survey.py FOLDER-OF-DOCKERFILES --rows 1000 --rows 10000 --jobs 2

The files of the folder are repeated until there are as many rows as asked for, each copy with a comment of its own, so
that every row is another content. The command line is what is measured, as a process, with all it starts.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

_ROWS = 2_000  # written at once


def contents(folder: Path, rows: int) -> Iterator[bytes]:
    """Yield ``rows`` different contents made from the files of ``folder``."""
    texts = [file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()]
    if not texts:
        raise click.UsageError(f"{folder}: no files")
    for row in range(rows):
        yield texts[row % len(texts)] + b"\n# copy %d\n" % (row // len(texts))


def write(table: Path, folder: Path, rows: int) -> None:
    """Write the Parquet file that the survey reads."""
    schema = pa.schema([("content", pa.binary())])
    with pq.ParquetWriter(table, schema, compression="zstd") as writer:
        some: list[bytes] = []
        for content in contents(folder, rows):
            some.append(content)
            if len(some) == _ROWS:
                writer.write_table(pa.table({"content": some}, schema))
                some = []
        if some:
            writer.write_table(pa.table({"content": some}, schema))


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rows", type=int, multiple=True, default=(1_000, 10_000), show_default=True)
@click.option("--jobs", type=int, default=2, show_default=True)
def main(folder: Path, rows: tuple[int, ...], jobs: int) -> None:
    """Print a row for each number of rows."""
    print("| rows | s | files/s | CPU ms a file | peak MB, largest process | input MB | tables MB |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for count in rows:
        with tempfile.TemporaryDirectory() as place:
            table, out = Path(place) / "table.parquet", Path(place) / "out"
            write(table, folder, count)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "cleanroom", "survey", str(table), "-o", str(out), "--jobs", str(jobs)],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            seconds = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
            print(
                f"| {count:,} | {seconds:.1f} | {count / seconds:,.0f} | {1000 * spent / count:.2f} "
                f"| {after.ru_maxrss / 1024:.0f} | {table.stat().st_size / 1e6:.1f} | {size / 1e6:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
