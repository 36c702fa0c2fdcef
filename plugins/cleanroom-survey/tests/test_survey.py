"""Surveys: the same rows whoever does the work, whatever stops it; every kind of source; the report."""

from __future__ import annotations

import gzip
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cleanroom_survey import report
from cleanroom_survey.examine import FILES, FINDINGS, INSTALLS, examine
from cleanroom_survey.run import Crew, cluster, local, survey
from cleanroom_survey.sources import Place, Source, SourceError, open_source
from cleanroom_survey.store import TABLES, Store, StoreError
from survey_workers import DEADLY, die_on_deadly

from cleanroom.cli import main
from cleanroom.recipes import measurements
from cleanroom.registries import library

LEFT = b"FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"
CLEAN = b"FROM debian:12\nRUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*\n"
LATE = b"FROM debian:12\nRUN apt-get update && apt-get install -y curl\nRUN rm -rf /var/lib/apt/lists/*\n"


def rows(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for name in TABLES:
        files = sorted((folder / name).glob("*.parquet"))
        found[name] = [row for file in files for row in pq.read_table(file).to_pylist()]
        found[name].sort(key=repr)
    return found


def run(out: Path, sources: list[Source], crew: Crew | None = None) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    crew = crew or local(1)
    store = Store(out, library())
    try:
        totals = survey(sources, store, crew)
    finally:
        store.close()
        crew.dismiss()
    return totals.places, totals.new, totals.set_aside


def memory(*contents: bytes, name: str = "memory") -> Source:
    places = [Place(name, str(index), data) for index, data in enumerate(contents)]
    return Source(name, len(places), lambda: iter(places))


def many(count: int) -> Source:
    return memory(*(b"%b# %d\n" % ((LEFT, CLEAN, LATE)[index % 3], index) for index in range(count)))


def test_examine_gives_rows_in_the_order_of_the_batch() -> None:
    batch = pa.table({"content": [LEFT, b"\xff", b"NOT {{a}} dockerfile", None, LATE]})
    examined = examine(batch)
    assert examined.files.schema == FILES
    assert examined.installs.schema == INSTALLS
    assert examined.findings.schema == FINDINGS
    states = examined.files.column("state").to_pylist()
    assert states == ["read", "not text", "not a Dockerfile", "not a Dockerfile", "read"]
    lists = [row for row in examined.installs.to_pylist() if row["cache"] == "lists"]
    assert [(row["outcome"], row["how"]) for row in lists] == [
        ("left", None),
        ("late", "rm -rf /var/lib/apt/lists/*"),
    ]
    assert [row["rule"] for row in examined.findings.to_pylist()] == ["left-behind", "cleaned-late"]


def test_examine_takes_text_and_another_column() -> None:
    table = pa.table({"text": [LEFT.decode()]})
    assert examine(table, "text").files.to_pylist() == examine(pa.table({"content": [LEFT]})).files.to_pylist()


def test_the_same_content_is_followed_once(tmp_path: Path) -> None:
    assert run(tmp_path / "out", [memory(LEFT, CLEAN, LEFT), memory(LEFT, name="other")]) == (4, 2, ())
    found = rows(tmp_path / "out")
    assert len(found["places"]) == 4
    assert len(found["files"]) == 2


def test_a_second_run_does_only_what_is_new(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(out, [memory(LEFT, CLEAN)]) == (2, 2, ())
    assert run(out, [memory(LEFT, CLEAN)]) == (2, 0, ())
    assert run(out, [memory(LEFT, CLEAN, LATE)]) == (3, 1, ())
    run(tmp_path / "at-once", [memory(LEFT, CLEAN, LATE)])
    assert rows(out) == rows(tmp_path / "at-once")


def test_processes_give_the_rows_that_one_gives(tmp_path: Path) -> None:
    run(tmp_path / "one", [many(350)])
    run(tmp_path / "two", [many(350)], local(2))
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    for name in TABLES:  # in the same order, too
        a, b = (pq.read_table(tmp_path / each / name / "part-000000.parquet") for each in ("one", "two"))
        assert a.equals(b)


def test_a_cluster_gives_the_rows_that_one_process_gives(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    run(tmp_path / "one", [many(350)])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines:
        run(tmp_path / "cluster", [many(350)], cluster(machines.scheduler_address))
    assert rows(tmp_path / "one") == rows(tmp_path / "cluster")


def test_a_worker_of_a_cluster_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    run(tmp_path / "one", [many(1500)])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines:
        crew = cluster(machines.scheduler_address)
        killed: list[int] = []

        def kill(_: object) -> None:
            if not killed:
                worker = next(iter(machines.workers.values()))
                killed.append(worker.pid)
                os.kill(worker.pid, 9)

        store = Store(tmp_path / "cluster", library())
        totals = survey([many(1500)], store, crew, kill)
        store.close()
        crew.dismiss()
    assert killed
    assert totals.new == 1500
    assert rows(tmp_path / "one") == rows(tmp_path / "cluster")


def test_content_that_kills_workers_is_set_aside_and_tried_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = memory(*(b"%b# %d\n" % (LEFT, index) for index in range(120)), DEADLY, *(CLEAN, LATE))
    places, new, aside = run(out, [source], local(2, die_on_deadly))
    assert (places, new) == (123, 122)
    assert aside == (("memory", "120"),)
    assert [row["state"] for row in rows(out)["files"] if row["state"] != "read"] == ["set aside"]
    # With a version that survives it, it is done; and nothing else is.
    assert run(out, [source]) == (123, 1, ())
    run(tmp_path / "well", [source])
    assert rows(out) == rows(tmp_path / "well")


def test_content_that_kills_workers_of_a_cluster_is_set_aside(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    import dask

    # A LocalCluster gives a worker up for good that happens to be away this long after it was lost first
    # (_update_worker_status in https://github.com/dask/distributed/blob/main/distributed/deploy/spec.py).
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines,
    ):
        crew = cluster(machines.scheduler_address, die_on_deadly)
        _, new, aside = run(tmp_path / "out", [memory(LEFT, DEADLY, CLEAN)], crew)
    assert new == 2
    assert aside == (("memory", "1"),)


def test_a_cluster_without_workers_is_no_reason_to_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr("cleanroom_survey.run.PATIENCE", 1.0)
    with distributed.LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=None) as machines:
        crew = cluster(machines.scheduler_address)
        with pytest.raises(OSError, match="no workers any more"):
            run(tmp_path / "out", [memory(LEFT)], crew)


def test_an_interrupted_run_keeps_what_is_done(tmp_path: Path) -> None:
    def interrupt(totals: Any) -> None:
        if totals.new >= 200:
            raise KeyboardInterrupt

    store = Store(tmp_path / "out", library())
    with pytest.raises(KeyboardInterrupt):
        survey([many(500)], store, local(1), interrupt)
    store.close()
    assert len(rows(tmp_path / "out")["files"]) == 200
    assert run(tmp_path / "out", [many(500)])[1] == 300
    run(tmp_path / "whole", [many(500)])
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")


def test_parts_that_were_never_counted_are_dropped(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(out, [memory(LEFT)])
    before = rows(out)
    (out / "files" / "part-000001.parquet").write_bytes((out / "files" / "part-000000.parquet").read_bytes())
    (out / "files" / ".part-000002.parquet.1").write_bytes(b"half")
    run(out, [memory(LEFT)])
    assert rows(out) == before


def test_a_folder_takes_one_run_at_a_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "out", library())
    with pytest.raises(StoreError, match="in use"):
        Store(tmp_path / "out", library())
    store.close()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="neither empty"):
        Store(tmp_path, library())
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_rows_of_other_recipes_are_not_mixed(tmp_path: Path) -> None:
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.sources import shipped

    Store(tmp_path / "out", library()).close()
    with pytest.raises(StoreError, match="other recipes"):
        Store(tmp_path / "out", Library([shipped(tmp_path)]))


def repository(folder: Path) -> None:
    folder.mkdir()
    (folder / "Dockerfile").write_bytes(LEFT)
    (folder / "ü").mkdir()
    (folder / "ü" / "app.Dockerfile").write_bytes(LATE)
    (folder / "README").write_bytes(b"no Dockerfile")
    (folder / "Dockerfile.link").symlink_to("README")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    (folder / "Dockerfile").write_bytes(CLEAN)  # not committed


def write_tar(folder: Path) -> None:
    repository(folder / "repository")
    with tarfile.open(folder / "all.tar.gz", "w:gz") as archive:
        archive.add(folder / "repository" / "Dockerfile", "./a/Dockerfile")
        archive.add(folder / "repository" / "README", "README")


def write_parquet(folder: Path) -> None:
    pq.write_table(pa.table({"repo": ["a", None], "text": [LEFT.decode(), CLEAN.decode()]}), folder / "t.parquet")


def write_json_lines(folder: Path) -> None:
    lines = [json.dumps({"repo": "a", "text": LEFT.decode()}), "", json.dumps({"text": CLEAN.decode()})]
    (folder / "t.jsonl").write_text("\n".join(lines))


def write_zipped_json_lines(folder: Path) -> None:
    (folder / "t.jsonl.gz").write_bytes(gzip.compress(json.dumps({"repo": "a", "text": LEFT.decode()}).encode()))


SOURCES: dict[str, tuple[Callable[[Path], None], str, list[tuple[str, bytes, dict[str, str]]]]] = {
    "folder": (
        lambda folder: repository(folder / "r"),
        "r",
        [("Dockerfile", CLEAN, {}), ("Dockerfile.link", b"no Dockerfile", {}), ("ü/app.Dockerfile", LATE, {})],
    ),
    "git": (
        lambda folder: repository(folder / "r"),
        "git:r",
        [("Dockerfile", LEFT, {}), ("ü/app.Dockerfile", LATE, {})],
    ),
    "bare git": (
        lambda folder: repository(folder / "r"),
        "r/.git",
        [("Dockerfile", LEFT, {}), ("ü/app.Dockerfile", LATE, {})],
    ),
    "tar": (write_tar, "all.tar.gz", [("a/Dockerfile", CLEAN, {})]),
    "url": (write_tar, "file://{}/all.tar.gz", [("a/Dockerfile", CLEAN, {})]),
    "parquet": (write_parquet, "t.parquet", [("0", LEFT, {"repo": "a"}), ("1", CLEAN, {})]),
    "json lines": (write_json_lines, "t.jsonl", [("0", LEFT, {"repo": "a"}), ("2", CLEAN, {})]),
    "gzipped json lines": (write_zipped_json_lines, "t.jsonl.gz", [("0", LEFT, {"repo": "a"})]),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_source(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, name, expected = SOURCES[kind]
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = open_source(name.format(tmp_path), content="text", keys=["repo"])
    assert [(place.path, place.data, dict(place.keys)) for place in source.read()] == expected
    assert source.length in (None, len(expected))


def test_a_repository_runs_nothing(tmp_path: Path) -> None:
    """One that lacks an object names a program that would fetch it."""
    folder, mark = tmp_path / "r", tmp_path / "ran"
    repository(folder)
    program = tmp_path / "upload-pack"
    program.write_text(f"#!/bin/sh\ntouch {mark}\n")
    program.chmod(0o755)
    git = ["git", "-C", str(folder)]
    blob = subprocess.run([*git, "rev-parse", "HEAD:Dockerfile"], capture_output=True, text=True, check=True).stdout
    (folder / ".git/objects" / blob[:2] / blob.strip()[2:]).unlink()
    settings = {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": str(tmp_path / "elsewhere"),
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(program),
    }
    for name, value in settings.items():
        subprocess.run([*git, "config", name, value], check=True)
    said: list[str] = []
    source = open_source(f"git:{folder}", passed_over=said.append)
    assert [place.path for place in source.read()] == ["ü/app.Dockerfile"]
    assert said == [f"git:{folder}: Dockerfile: not in this clone; passed over"]
    assert not mark.exists()
    subprocess.run([*git, "cat-file", "-p", "HEAD:Dockerfile"], capture_output=True, check=False)
    assert mark.exists()  # what this git does when it is not told otherwise


def test_rows_that_hold_no_text_are_passed_over(tmp_path: Path) -> None:
    rows = ['{"content": 5}', '{"content": "FROM a"}', '{"content": 1.5}', '{"content": ["FROM"]}', '{"content": null}']
    rows += ['{"content": {"a": 1}}', f'{{"content": {"[" * 100_000}']
    (tmp_path / "t.jsonl").write_text("\n".join(rows))
    said: list[str] = []
    found = list(open_source(str(tmp_path / "t.jsonl"), passed_over=said.append).read())
    assert [(place.path, place.data) for place in found] == [("1", b"FROM a"), ("4", b"")]
    assert [line.partition("t.jsonl")[2] for line in said] == [
        ": row 0: content holds no text (int); passed over",
        ": row 2: content holds no text (float); passed over",
        ": row 3: content holds no text (list); passed over",
        ": row 5: content holds no text (dict); passed over",
        ":7: nested too deeply; passed over",
    ]


def troubles(folder: Path) -> Iterator[tuple[str, str]]:
    (folder / "empty").mkdir()
    (folder / "cut.tar.gz").write_bytes((folder / "all.tar.gz").read_bytes()[:60])
    (folder / "bad.parquet").write_bytes(b"PAR1")
    (folder / "bad.jsonl").write_text('{"text": ""}\n[1]\n')
    (folder / "x.csv").write_text("text")
    yield "empty", "no Dockerfile in this folder"
    yield "nowhere", "no such file or folder"
    yield "git:empty", "not a git repository"
    yield "cut.tar.gz", "not a tar archive that can be read to its end"
    yield "bad.parquet", "not Parquet"
    yield "bad.jsonl", "bad.jsonl:2: not a JSON object"
    yield "x.csv", "not a source that is known"
    yield "nowhere.tar", "nowhere.tar"


def test_sources_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tar(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name, message in troubles(tmp_path):
        with pytest.raises(SourceError) as caught:
            list(open_source(name, content="text").read())
        assert message in str(caught.value)
        assert name.removeprefix("git:") in str(caught.value)


READING = """
import sys
from cleanroom_survey.sources import open_source

def resident():  # MB, of Linux
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS"))) / 1024

sizes = [resident() for row, _ in enumerate(open_source(sys.argv[1]).read()) if row % 1000 == 500]
print(len(sizes), sizes[-1] - sizes[len(sizes) // 4])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_reading_a_long_table_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    dice = random.Random(0)
    file = str(tmp_path / "long.parquet")
    with pq.ParquetWriter(file, pa.schema([("content", pa.string())])) as writer:
        for _ in range(200):  # row groups
            writer.write_table(pa.table({"content": [f"FROM a\n# {dice.randbytes(500).hex()}" for _ in range(1000)]}))
    done = subprocess.run([sys.executable, "-c", READING, file], capture_output=True, text=True, check=True)
    count, grown = done.stdout.split()
    assert int(count) == 200
    assert float(grown) < 10  # MB; one reader for all row groups took 129 more


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    with pytest.raises(SourceError, match=r"no column 'texts' \(--content\); did you mean 'text'"):
        open_source(str(tmp_path / "t.parquet"), content="texts")


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    repository(tmp_path / "r")
    out = tmp_path / "out"
    assert main(["survey", f"git:{tmp_path / 'r'}", "-o", str(out), "--jobs", "1"]) == 0
    assert "2 Dockerfiles met, 2 contents followed" in capfd.readouterr().err
    assert main(["survey", "report", str(out)]) == 0
    page = (out / "report.html").read_text()
    assert "apt.lists" in page
    assert "<svg" in page
    assert "src=" not in page
    text = (out / "report.md").read_text()
    assert "| apt.lists | 2 | 1 | 1 | 0 | 0 |" in text
    assert "rm -rf /var/lib/apt/lists/*" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["survey", "nowhere", "-o", "out"], "no such file or folder"),
        (["survey", "report", "nowhere"], "no survey here; make one with"),
        (["survey", ".", "-o", "out", "--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"], "exclude each other"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_bytes(LEFT)
    assert main(arguments) == 2
    assert message in capfd.readouterr().err


def test_the_report_answers_every_question(tmp_path: Path) -> None:
    run(tmp_path / "out", [memory(LEFT, CLEAN, LATE, b"\xff", b"FROM debian\nRUN pip install --no-cache-dir x\n")])
    answers = {answer.question.title: answer for answer in report.ask(tmp_path / "out")}
    assert answers["What was read"].rows == (("read", 4, 4), ("not text", 1, 1))
    caches = {row[0]: row[1:] for row in answers["What becomes of each cache"].rows}
    assert caches["apt.lists"][:5] == (3, 1, 1, 0, 1)
    assert answers["Clean-ups that free nothing"].rows[0][:4] == ("apt.lists", "late", "rm -rf /var/lib/apt/lists/*", 1)
    assert ("pip", "prevented", "--no-cache-dir", 1) in answers["What keeps caches out"].rows
    assert answers["Not read"].rows[0][0] == "not text"


def test_the_proofs_give_sizes_with_their_spread(tmp_path: Path) -> None:
    run(tmp_path / "out", [memory(b"FROM node:20\nRUN npm ci\n", b"FROM node:20\nRUN npm install a\n")])
    recipe = library().find("npm")
    sizes = [proof.without.caches["cache"].bytes for proof in measurements.current(recipe).proofs]
    assert sizes
    answers = {answer.question.title: answer for answer in report.ask(tmp_path / "out")}
    row = next(row for row in answers["Bytes left, by the proofs"].rows if row[0] == "npm.cache")
    assert row[1:3] == (2, len(sizes))
    assert row[3:6] == (min(sizes), int(statistics.median(sizes)), max(sizes))
    assert row[6:] == tuple(2 * size for size in row[3:6])
    assert "Nothing here was measured of these images" in report.as_markdown(answers.values())


def test_an_empty_survey_has_no_report(tmp_path: Path) -> None:
    Store(tmp_path / "out", library()).close()
    with pytest.raises(report.ReportError, match="is empty"):
        report.ask(tmp_path / "out")


@pytest.mark.shared
def test_corpus_gives_the_same_rows_serial_and_in_processes(tmp_path: Path, shared: Path) -> None:
    archive = shared / "corpus" / "dockerfiles.tar.xz"
    source = open_source(str(archive), names=["*"])
    run(tmp_path / "one", [source])
    run(tmp_path / "two", [source], local(2))
    found = rows(tmp_path / "one")
    assert len(found["places"]) > 6000
    assert not [row for row in found["files"] if row["state"] == "fault"]
    assert found == rows(tmp_path / "two")


def test_spark_can_make_the_call() -> None:
    sql = pytest.importorskip("pyspark.sql", reason="optional: pyspark is 450 MB")
    pytest.importorskip("pandas", reason="optional: comes with pyspark")  # which mapInArrow asks for
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        table = spark.createDataFrame([(LEFT.decode(),), (LATE.decode(),)], "content string").repartition(1)

        def findings(batches: Iterator[Any]) -> Iterator[Any]:
            for batch in batches:
                yield from examine(batch).findings.to_batches()

        schema = sql.types.StructType(
            [
                sql.types.StructField(name, getattr(sql.types, kind)())
                for name, kind in (
                    *((name, "StringType") for name in ("content",)),
                    *((name, "IntegerType") for name in ("line", "column")),
                    *((name, "StringType") for name in ("rule", "manager", "cache", "severity", "message")),
                    *((name, "StringType") for name in ("fix", "remedy")),
                    ("typical_bytes", "LongType"),
                )
            ]
        )
        rules = sorted(row.rule for row in table.mapInArrow(findings, schema).collect())
    finally:
        spark.stop()
    assert rules == ["cleaned-late", "left-behind"]


RECIPE = """\
id: {id}
name: {id}
summary: {id} packages
homepage: https://{id}.example
programs:
  - names: [{id}]
caches:
  - id: cache
    what: downloads
    paths:
      - path: ~/.cache/{id}
    filled_by:
      - verbs: [install]
remedies:
  - kind: clean
    caches: [cache]
    run: rm -rf ~/.cache/{id}
sources:
  - https://{id}.example/caching
"""


def test_recipes_of_a_folder_and_of_plugins(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cleanroom", "survey", "files", "-o", "out", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))},
        )

    info = tmp_path / "cleanroom_zup-1.0.dist-info"
    for folder in (info, tmp_path / "own", tmp_path / "zup_recipes", tmp_path / "files"):
        folder.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cleanroom-zup\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cleanroom]\nzup = zup_plugin\n")
    (tmp_path / "zup_plugin.py").write_text(
        "import cleanroom, pathlib\n@cleanroom.hookimpl\ndef cleanroom_recipes():\n"
        "    yield pathlib.Path(__file__).parent / 'zup_recipes'\n"
    )
    (tmp_path / "zup_recipes/zup.yaml").write_text(RECIPE.format(id="zup"))
    (tmp_path / "own/zap.yaml").write_text(RECIPE.format(id="zap"))
    (tmp_path / "files/Dockerfile").write_text("FROM debian:12\nRUN zap install x\nRUN zup install x\n")
    done = command("--recipes", "own", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(pq.read_table(tmp_path / "out/findings")["manager"].to_pylist()) == ["zap", "zup"]
    other = command("--jobs", "1")
    assert other.returncode == 2  # a survey goes on with the recipes that it was begun with
