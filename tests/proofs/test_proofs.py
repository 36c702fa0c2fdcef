"""Proofs, as far as no image is built: what would be built, how it is judged, what is recorded."""

from __future__ import annotations

import io
import json
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cleanroom.cli import main
from cleanroom.proofs import plan, verdict
from cleanroom.proofs.run import unpack
from cleanroom.proofs.servers import serving
from cleanroom.recipes import measurements
from cleanroom.recipes.facts import remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.load import parse_recipe
from cleanroom.recipes.measurements import CaseProof, HazardProof, Held, Measured, Proved, Record, RemedyProof
from cleanroom.recipes.model import Recipe, RecipeError, Remedy, Trial
from cleanroom.recipes.sources import shipped
from cleanroom.recipes.validate import validate_recipe, validate_record

RECIPE = """\
id: brewer
name: Brewer
summary: packages
homepage: https://brewer.example
programs:
  - names: [brewer]
caches:
  - id: cache
    what: downloads
    paths:
      - path: ~/.cache/brewer
    filled_by:
      - verbs: [add]
    typical: {bytes: 5, of: brewer add hello}
cleanups:
  - {use: {verbs: [purge]}, empties: [cache]}
remedies:
  - {kind: prevent, caches: [cache], option: --no-cache, verbs: [add]}
  - {kind: prevent, caches: [cache], variable: BREWER_CACHE, value: "0"}
  - {kind: clean, caches: [cache], run: rm -rf ~/.cache/brewer}
  - {kind: clean, caches: [cache], run: brewer purge, versions: ">=2"}
  - {kind: mount, caches: [cache], targets: [~/.cache/brewer], before: brewer setup}
hazards:
  - {id: asks, what: brewer clean takes No, effect: asks}
  - {id: breaks, what: brewer wipe exits 1, effect: fails}
proof:
  - base: debian:12
    of: brewer add hello on Debian
    setup: [useradd jane]
    registry: [brewer mirror /srv]
    environment: {LANG: C, BREWER_URL: $CLEANROOM_REGISTRY/x}
    install: brewer update && brewer add hello && brewer add world
    works: hello
    again: brewer add more
    trials:
      - {hazard: asks, run: brewer clean, prompt: "[y/N]"}
      - {hazard: breaks, run: brewer wipe, exit: 1}
sources: [https://brewer.example]
"""


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(RECIPE, "brewer.yaml")


def planned(recipe: Recipe, version: str = "brewer 2.1") -> dict[str, str]:
    library = Library([shipped()], [recipe])
    (proof,) = recipe.proof
    base = plan.place(recipe, proof, library, version)
    builds = plan.builds(recipe, proof, library, base, "localhost/x", "-1")
    return {build.text or build.image: build.dockerfile for build in builds if build.image != plan.LATE}


def test_what_is_built(recipe: Recipe) -> None:
    install = "brewer update && brewer add hello && brewer add world"
    mount = "--mount=type=cache,target=/root/.cache/brewer"
    kept = ">/tmp/cleanroom-said 2>&1; printf %s $? >/tmp/cleanroom-exit;"
    assert planned(recipe) == {
        "without": f"FROM localhost/x\nRUN {install}\n",
        "--no-cache": (
            "FROM localhost/x\nRUN brewer update && brewer add --no-cache hello && brewer add --no-cache world\n"
        ),
        "ENV BREWER_CACHE=0": f"FROM localhost/x\nENV BREWER_CACHE=0\nRUN {install}\n",
        "rm -rf ~/.cache/brewer": f"FROM localhost/x\nRUN {install} && rm -rf ~/.cache/brewer\n",
        "brewer purge": f"FROM localhost/x\nRUN {install} && brewer purge\n",
        mount: f"FROM localhost/x\nRUN {mount},id=cleanroom-1-5-0 brewer setup && {install}\n",
        "hazard-1": f"FROM localhost/x\nRUN {install} && {{ ( brewer clean ) {kept} }}\n",
        "hazard-2": f"FROM localhost/x\nRUN {install} && {{ ( brewer wipe ) {kept} }}\n",
    }


def test_a_remedy_for_another_version_is_not_built(recipe: Recipe) -> None:
    assert "brewer purge" not in planned(recipe, "Brewer version 1.9 (old)")


def test_what_is_prepared(recipe: Recipe) -> None:
    (proof,) = recipe.proof
    assert plan.tools(proof, "b", certificates=False) == "FROM b\nENV LANG=C\nRUN useradd jane\n"
    assert "COPY --from=made /srv /srv" in plan.registry(proof, "b")
    prepared = plan.prepared(replace(proof, user="jane"), "t", "http://127.0.0.1:1")
    assert prepared.splitlines()[1:4] == [
        "ENV CLEANROOM_REGISTRY=http://127.0.0.1:1",
        "ENV BREWER_URL=$CLEANROOM_REGISTRY/x",
        "USER jane",
    ]


@pytest.mark.parametrize("line", ["--mount=type=bind,source=/,target=/host rm -rf /host", "[x]", "a\nUSER root", "<<E"])
def test_a_line_says_no_more_than_a_command(recipe: Recipe, line: str) -> None:
    (proof,) = recipe.proof
    with pytest.raises(plan.PlanError):
        plan.tools(replace(proof, setup=(line,)), "b", certificates=False)


def remedy(**fields: object) -> Remedy:
    return Remedy(kind="clean", caches=("cache",), run="x", **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leaves", "before", "after", "saved", "changes", "expected"),
    [
        ("", 100, 0, 100, [], "proved"),
        ("", 0, 0, 0, [], "void"),
        ("", 100, 1, 100, [], "failed"),
        ("a little", 100, 10, 90, [], "proved"),
        ("a little", 100, 11, 100, [], "failed"),
        ("", 100, 0, 100, ["/usr/bin/x is gone"], "failed"),
        ("", 100, 0, 90, [], "proved"),
        ("", 100, 0, 89, [], "failed"),
        ("", 100, 0, -5, [], "failed"),
    ],
)
def test_verdict_on_a_remedy(
    leaves: str, before: int, after: int, saved: int, changes: list[str], expected: str
) -> None:
    held = {"cache": Held(bytes=before)}
    judged, reason = verdict.of_remedy(remedy(leaves=leaves), held, {"cache": after}, saved, changes)
    assert judged == expected
    assert bool(reason) == (expected != "proved")


@pytest.mark.parametrize(
    ("effect", "code", "said", "before", "after", "expected"),
    [
        ("fails", 7, "", 0, 0, "proved"),
        ("fails", 0, "", 0, 0, "failed"),
        ("fails", 1, "", 0, 0, "failed"),
        ("fails", 127, "brewer: not found", 0, 0, "void"),
        ("fails", 126, "", 0, 0, "void"),
        ("nothing", 0, "", 100, 100, "proved"),
        ("nothing", 7, "", 100, 100, "failed"),
        ("nothing", 127, "", 100, 100, "void"),
        ("nothing", 0, "", 100, 50, "failed"),
        ("nothing", 0, "", 0, 0, "failed"),
        ("asks", 0, "All? [y/N] ", 100, 99, "proved"),
        ("asks", 1, "All? [y/N] ", 100, 99, "proved"),
        ("asks", 0, "All of them.", 100, 99, "failed"),
        ("refills", 0, "", 100, 3, "proved"),
        ("refills", 1, "", 100, 3, "failed"),
        ("refills", 0, "", 100, 0, "failed"),
    ],
)
def test_verdict_on_a_hazard(
    recipe: Recipe, effect: str, code: int, said: str, before: int, after: int, expected: str
) -> None:
    hazard = replace(recipe.hazards[0], effect=effect)
    trial = Trial(hazard="asks", run="x", exit=7, prompt="[y/N]", caches=("cache",))
    held = {"cache": Held(bytes=before)}, {"cache": Held(bytes=after)}
    assert verdict.of_hazard(hazard, trial, *held, code, said)[0] == expected


@pytest.mark.parametrize(
    ("states", "held", "minor", "expected"),
    [
        ({"cache": "left"}, {"cache": 9}, (), "proved"),
        ({"cache": "left"}, {}, (), "failed"),
        ({"cache": "empty"}, {}, (), "proved"),
        ({"cache": "empty"}, {"cache": 10}, (), "proved"),
        ({"cache": "empty"}, {"cache": 11}, (), "failed"),
        ({}, {"cache": 11}, (), "failed"),
        ({}, {"cache": 11}, ("cache",), "proved"),
        ({"cache": "empty"}, {"cache": 11}, ("cache",), "failed"),
        ({"cache": "unknown"}, {"cache": 11}, (), "proved"),
        ({"cache": "unknown"}, {}, (), "proved"),
        ({"cache": "left"}, {}, ("cache",), "proved"),
    ],
)
def test_verdict_on_what_the_engine_says(
    states: dict[str, str], held: dict[str, int], minor: tuple[str, ...], expected: str
) -> None:
    assert verdict.of_case(states, {"cache": 100}, held, minor)[0] == expected


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (", exit: 1}", "the trial of a hazard that fails needs 'exit'"),
        (', prompt: "[y/N]"}', "the trial of a hazard that asks needs 'prompt'"),
    ],
)
def test_a_trial_says_what_must_come_of_it(change: str, says: str) -> None:
    problems = validate_recipe(RECIPE.replace(change, "}"), "brewer.yaml")
    assert [problem.message for problem in problems if "trial" in problem.message] == [says]


def record(recipe: Recipe, size: int = 1234) -> Record:
    (proof,) = recipe.proof
    return Record(
        manager=recipe.id,
        proofs=(
            Proved(
                proof="debian:12",
                judge=measurements.JUDGE,
                fingerprint=measurements.of_proof(recipe, proof),
                date="2026-01-01",
                base="debian:12",
                digest=f"sha256:{'0' * 64}",
                engine="buildah 1",
                platform="linux/amd64",
                version="brewer 2.1",
                without=Measured(layer=size + 9, compressed=5, caches={"cache": Held(bytes=size, files=2)}),
                late=Measured(layer=size + 10, compressed=6),
                remedies=tuple(
                    RemedyProof(
                        kind=each.kind,
                        remedy=remedy_text(each, "/root"),
                        verdict="proved",
                        layer=9,
                        compressed=4,
                        left={"cache": 0},
                        fingerprint=measurements.of_remedy(recipe, proof, each),
                    )
                    for each in recipe.remedies
                ),
                hazards=tuple(
                    HazardProof(
                        hazard=trial.hazard,
                        verdict="proved",
                        exit=trial.exit,
                        fingerprint=measurements.of_trial(recipe, proof, trial, hazard),
                    )
                    for trial, hazard in zip(proof.trials, recipe.hazards, strict=True)
                ),
                cases=(CaseProof(run=proof.install, verdict="proved", held={"cache": size}),),
            ),
        ),
    )


@given(st.integers(0, 10**12))
def test_a_record_is_read_as_it_was_written(size: int) -> None:
    found = record(parse_recipe(RECIPE, "brewer.yaml"), size)
    text = measurements.document(found)
    assert not validate_record(text, "brewer.json")
    assert measurements.parse(text) == measurements.sealed(found)
    assert measurements.document(measurements.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "cleanroom/proof/9", "manager": "x", "proofs": []}', "[" * 100_000],
)
def test_a_bad_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        measurements.parse(text)
    assert validate_record(text, "x.json")


def test_what_has_changed_counts_no_more(recipe: Recipe) -> None:
    found = record(recipe)
    assert measurements.current(recipe, found) == found
    assert not list(measurements.stale(recipe, found))
    renamed = replace(recipe, summary="other", caches=(replace(recipe.caches[0], what="other"),))
    assert measurements.current(renamed, found) == found
    other = replace(recipe.remedies[2], run="rm -rf ~/.cache")
    changed = replace(recipe, remedies=(*recipe.remedies[:2], other, *recipe.remedies[3:]))
    assert list(measurements.stale(changed, found)) == ["rm -rf ~/.cache/brewer on debian:12"]
    told = {
        plan.written(each): item
        for each, item, _ in measurements.verdicts(changed, measurements.current(changed, found))
    }
    assert [name for name, item in told.items() if item is None] == ["rm -rf ~/.cache"]
    moved = parse_recipe(RECIPE.replace("path: ~/.cache/brewer", "path: ~/.brewer"), "brewer.yaml")
    assert not measurements.current(moved, found).proofs


def test_measured_sizes_are_the_typical_ones(recipe: Recipe) -> None:
    typical = measurements.with_sizes(recipe, record(recipe)).caches[0].typical
    assert typical is not None
    assert (typical.bytes, typical.of) == (1234, "brewer add hello on Debian")
    sample = replace(recipe, proof=(replace(recipe.proof[0], sample=True),))
    assert measurements.with_sizes(sample, record(sample)) == sample


def test_validate_names_what_has_changed(tmp_path: Path, recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "proofs").mkdir()
    file = tmp_path / "brewer.yaml"
    file.write_text(RECIPE)
    (tmp_path / "proofs/brewer.json").write_text(measurements.document(record(recipe)))
    assert main(["recipes", "validate", "--strict-proofs", str(file)]) == 0
    assert "has changed" not in capsys.readouterr().err
    file.write_text(RECIPE.replace("run: brewer purge", "run: brewer purge --all"))
    assert main(["recipes", "validate", str(file)]) == 0
    assert "counts as not proved: brewer purge on debian:12" in capsys.readouterr().err
    assert main(["recipes", "validate", "--strict-proofs", str(file)]) == 1
    (tmp_path / "proofs/brewer.json").write_text(json.dumps({"schema": "cleanroom/proof/1", "manager": 1}))
    assert main(["recipes", "validate", str(file)]) == 1
    assert "brewer.json:1:1: " in capsys.readouterr().out
    with pytest.raises(RecipeError, match=r"brewer\.json"):
        shipped(tmp_path)


@pytest.mark.parametrize(
    "options", [["--given-bases"], ["--given-bases", "--base", "x:1=oci:x"], ["--only", "nothing"]]
)
def test_no_such_proof(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", *options]) == 2
    assert "no such proof" in capsys.readouterr().err


def test_files_are_served_so_that_clients_keep_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    with serving(tmp_path) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/file") as answer:
            assert answer.read() == b"0123456789"
            assert "max-age" in answer.headers["Cache-Control"]
            tag = answer.headers["ETag"]
        part = urllib.request.Request(f"{address}/file", headers={"Range": "bytes=2-4"})
        with urllib.request.urlopen(part) as answer:
            assert (answer.status, answer.read()) == (206, b"234")
        with pytest.raises(urllib.error.HTTPError) as kept:
            urllib.request.urlopen(urllib.request.Request(f"{address}/file", headers={"If-None-Match": tag}))
        assert kept.value.code == 304
        with urllib.request.urlopen(address) as answer:
            assert b'href="file"' in answer.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/../../etc/passwd")
        assert refused.value.code == 404
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing"], "nothing"),
        (["scoop"], "has no proof to run"),
        (["apt", "--base", "debian"], "is not NAME=PLACE"),
        (["apt", "--certificates", "/nowhere"], "there is no such file"),
    ],
)
def test_what_is_asked_for_wrongly(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_what_a_registry_holds_is_unpacked_as_files_only(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, target in [
            ("srv/file", tarfile.REGTYPE, ""),
            ("srv/link", tarfile.SYMTYPE, "file"),
            ("srv/away", tarfile.SYMTYPE, "/etc/passwd"),
            ("../out", tarfile.REGTYPE, ""),
            ("/absolute", tarfile.REGTYPE, ""),
            ("srv/device", tarfile.CHRTYPE, ""),
            ("srv/link/below", tarfile.REGTYPE, ""),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            member.size = 4 if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(b"text"))
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        unpack(archive, tmp_path / "inside")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["inside", "inside/absolute", "inside/srv", "inside/srv/file", "inside/srv/link"]
    assert (tmp_path / "inside/srv/link").read_text() == "text"


def test_the_version_has_no_colours() -> None:
    assert plan.found_version("x\ncleanroom-version: \x1b[1mApache Maven 3.9.9\x1b[m\r\n") == "Apache Maven 3.9.9"
    assert plan.found_version("cleanroom-version: \n") == ""
