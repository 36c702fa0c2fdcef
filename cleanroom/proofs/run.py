"""Run proofs: build with each remedy and without, measure the images, judge."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import BinaryIO, cast

from msgspec import Struct, field
from msgspec.structs import replace

from cleanroom.images import base as base_image
from cleanroom.images import places
from cleanroom.images.audit import Reading, audit
from cleanroom.images.image import ImageError, LayerSource, gzipped
from cleanroom.images.sources import open_image
from cleanroom.images.tree import show
from cleanroom.proofs import plan, verdict
from cleanroom.proofs.engines import BuildError, Engine
from cleanroom.proofs.servers import serving
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import HazardProof, Held, Measured, Proved, RemedyProof
from cleanroom.recipes.model import Proof, Recipe

_LARGEST_TEXT = 1 << 20  # bytes, of a registry's file that may name its address
_ENGINE_SAYS = re.compile(r'(?i)error: |time="|STEP \d|COMMIT|-->|\[\d/\d\]|(sub)?process exited|exit status')


class ProofError(Exception):
    """A proof that could not be run: no base, a setup that fails, an install that does not work by itself.

    Its cause is the BuildError, with what was printed, if there was one.
    """


class Workshop(Struct):
    """An engine, and what a run of proofs has at hand. ``progress`` is told what is being built."""

    engine: Engine
    library: Library
    bases: Mapping[str, str] = field(default_factory=dict)
    certificates: str = ""
    progress: Callable[[str], None] = lambda _: None
    _loaded: dict[str, str] = field(default_factory=dict)
    _version: str = ""

    def base(self, proof: Proof) -> str:
        """Return the name of the proof's base in the engine. Raises ProofError."""
        if proof.base not in self._loaded:
            self.progress(f"getting {proof.base}")
            image = f"base-{len(self._loaded) + 1}"
            given = self.bases.get(proof.base, "")
            try:
                self.engine.load(image, _reference(given) if given else f"docker.io/{_whole(proof.base)}")
            except BuildError as error:
                hint = "" if given else f"\n--base {proof.base}=oci:FOLDER names one that is here"
                raise ProofError(f"the base {proof.base} cannot be had: {_reason(error)}{hint}") from error
            self._loaded[proof.base] = self.engine.name(image)
        return self._loaded[proof.base]

    def version(self) -> str:
        """Return the engine and its version."""
        self._version = self._version or self.engine.version()
        return self._version


def _whole(image: str) -> str:
    """Return the name of an image of Docker Hub with its owner: ``library/debian``."""
    return image if "/" in image else f"library/{image}"


def _reference(given: str) -> str:
    """Return the reference of a base as it was given: a folder is an OCI layout."""
    return f"oci:{given}" if Path(given).is_dir() else given


def prove(recipe: Recipe, proof: Proof, workshop: Workshop) -> Proved:
    """Run one proof and return what it shows. Raises ProofError, and EngineError when the engine cannot go on."""
    engine, library = workshop.engine, workshop.library
    base = workshop.base(proof)
    mark = token_hex(3)
    tools, prepared = f"tools-{mark}", f"prepared-{mark}"
    with ExitStack() as stack:
        context = engine.folder / f"context-{mark}"
        context.mkdir()
        stack.callback(shutil.rmtree, context, ignore_errors=True)
        if workshop.certificates:
            shutil.copyfile(workshop.certificates, context / "certificates.crt")
        try:
            workshop.progress("setting up")
            engine.build(tools, plan.tools(proof, base, certificates=bool(workshop.certificates)), context)
            stack.callback(engine.forget, tools)
            address = ""
            if proof.registry:
                workshop.progress("making the registry")
                engine.build(f"registry-{mark}", plan.registry(proof, engine.name(tools)))
                address = stack.enter_context(_serving(f"registry-{mark}", engine))
            engine.build(prepared, plan.prepared(proof, engine.name(tools), address))
            stack.callback(engine.forget, prepared)
            version = _version(plan.version(recipe, proof, engine.name(prepared)), f"{prepared}-version", engine)
        except BuildError as error:
            raise ProofError(f"what the proof begins from cannot be built: {_reason(error)}") from error
        except plan.PlanError as error:
            raise ProofError(str(error)) from None
        place = plan.place(recipe, proof, library, version)
        try:
            builds = list(plan.builds(recipe, proof, library, place, engine.name(prepared), f"-{token_hex(4)}"))
        except plan.PlanError as error:
            raise ProofError(str(error)) from None
        bench = _Bench(recipe, proof, workshop, engine.diff_ids(prepared), prepared)
        return bench.run(builds, base, version)


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of an archive, and links to others beside them, below ``folder``; nothing else of it."""
    folder.mkdir(exist_ok=True)
    for member in archive:
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            continue
        path = folder.joinpath(*parts)
        above = [folder.joinpath(*parts[:count]) for count in range(1, len(parts))]
        if any(parent.is_symlink() or parent.is_file() for parent in above):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym() and "/" not in member.linkname and not path.exists():
            path.symlink_to(member.linkname)
        elif member.isfile() and not path.exists() and not path.is_symlink():
            source = archive.extractfile(member)
            assert source is not None
            with source, path.open("wb") as file:
                shutil.copyfileobj(source, file)


def _version(dockerfile: str, image: str, engine: Engine) -> str:
    """Return what is printed of the manager's version. Buildah 1.28 now and then loses what a short command prints."""
    for _ in range(3):
        if found := plan.found_version(engine.build(image, dockerfile, anew=True)):
            return found
    return ""


@contextmanager
def _serving(image: str, engine: Engine) -> Iterator[str]:
    """Serve what /srv of an image holds, and forget the image. Yields the address."""
    folder, saved = engine.folder / image, engine.folder / f"{image}-saved"
    with open_image(engine.save(image, saved)) as found:
        for layer in found.layers:
            with layer.open() as file, tarfile.open(fileobj=cast("BinaryIO", file), mode="r|*") as archive:
                unpack(archive, folder)
    _discard(saved)
    engine.forget(image)
    (folder / "srv").mkdir(parents=True, exist_ok=True)
    try:
        with serving(folder / "srv") as address:
            for path in (folder / "srv").rglob("*"):
                if path.is_file() and path.stat().st_size < _LARGEST_TEXT:
                    data = path.read_bytes()
                    if plan.ADDRESS.encode() in data:
                        path.write_bytes(data.replace(plan.ADDRESS.encode(), address.encode()))
            yield address
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Result(Struct):
    """An image that was measured."""

    measured: Measured
    platform: str
    files: frozenset[str]
    caches: tuple[str, ...]  # the paths of the recipe's caches that hold files


class _Bench:
    """Builds, measures and judges what a proof asks for, from an image that is prepared."""

    def __init__(self, recipe: Recipe, proof: Proof, workshop: Workshop, below: tuple[str, ...], prepared: str) -> None:
        self._recipe = recipe
        self._proof = proof
        self._workshop = workshop
        self._engine = workshop.engine
        self._below = below
        self._prefix = prepared
        self._varies: frozenset[str] | None = None
        self._sizes: dict[str, int] = {}  # of layers, compressed, by digest

    def run(self, builds: list[plan.Build], base: str, version: str) -> Proved:
        """Return what was proved. Raises ProofError."""
        first = builds[0]
        without = self._first(first)
        late = None
        remedies: list[RemedyProof] = []
        hazards: list[HazardProof] = []
        for build in builds[1:]:
            if build.hazard is not None:
                hazards.append(self._hazard(build, without))
            elif build.image == plan.LATE:
                late = self._late(build)
            else:
                remedies.append(self._remedy(build, without, first))
        self._engine.forget(self._name(first))
        engine, recipe, proof = self._engine, self._recipe, self._proof
        digest = engine.diff_ids(base.removeprefix("localhost/").rpartition(":")[2])
        return Proved(
            proof=measurements.proof_id(proof),
            fingerprint=measurements.of_proof(recipe, proof),
            date=datetime.now(timezone.utc).date().isoformat(),
            base=proof.base,
            digest=f"sha256:{digest[-1]}",
            engine=self._workshop.version(),
            platform=without.platform,
            version=version,
            without=without.measured,
            late=late,
            remedies=tuple(remedies),
            hazards=tuple(hazards),
        )

    def _name(self, build: plan.Build) -> str:
        return f"{self._prefix}-{build.image}"

    def _first(self, build: plan.Build) -> _Result:
        """Build without a remedy: what fails here makes the whole proof worthless. Raises ProofError."""
        self._workshop.progress("without a remedy")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError as error:
            raise ProofError(f"the install fails by itself: {_reason(error)}") from error
        result = self._measure(build)
        if problem := self._check(build):
            raise ProofError(f"without a remedy, too, {problem}")
        return result

    def _late(self, build: plan.Build) -> Measured | None:
        self._workshop.progress(f"{build.text}, in a later layer")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError:
            return None
        result = self._measure(build)
        self._engine.forget(self._name(build))
        return result.measured

    def _remedy(self, build: plan.Build, without: _Result, first: plan.Build) -> RemedyProof:
        remedy = build.remedy
        assert remedy is not None
        said = RemedyProof(
            kind=remedy.kind,
            remedy=build.text,
            verdict=verdict.FAILED,
            reason=build.problem,
            fingerprint=measurements.of_remedy(self._recipe, self._proof, remedy),
        )
        if build.problem:
            return said
        self._workshop.progress(build.text)
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError as error:
            return replace(said, reason=f"the build fails: {_reason(error)}")
        result = self._measure(build)
        caches = {*without.caches, *result.caches}
        gone = verdict.gone(without.files, result.files, (*caches, *build.removed), build.targets)
        if gone:
            varies = self._differing(first, without)
            gone = [path for path in gone if path not in varies]
        judged, reason = verdict.of_remedy(remedy, without.measured.caches, result.measured.caches, gone)
        if judged != verdict.FAILED and (problem := self._check(build)):
            judged, reason = verdict.FAILED, problem
        self._engine.forget(self._name(build))
        return replace(
            said,
            verdict=judged,
            reason=reason,
            layer=result.measured.layer,
            compressed=result.measured.compressed,
            left={cache: verdict.held_in(result.measured.caches, cache) for cache in remedy.caches},
        )

    def _hazard(self, build: plan.Build, without: _Result) -> HazardProof:
        trial, hazard = build.trial, build.hazard
        assert trial is not None
        assert hazard is not None
        mark = measurements.of_trial(self._recipe, self._proof, trial, hazard)
        self._workshop.progress(f"hazard {hazard.id}")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError as error:
            why = "the command exits 0" if plan.passes(error.output) else f"the build fails: {_reason(error)}"
            return HazardProof(hazard=hazard.id, verdict=verdict.FAILED, reason=why, fingerprint=mark)
        left: Mapping[str, Held] = {}
        if hazard.effect != "fails":
            left = self._measure(build, compress=False).measured.caches
        self._engine.forget(self._name(build))
        judged, reason = verdict.of_hazard(hazard, trial.caches, without.measured.caches, left)
        return HazardProof(hazard=hazard.id, verdict=judged, reason=reason, fingerprint=mark)

    def _differing(self, first: plan.Build, without: _Result) -> frozenset[str]:
        """Return the files that differ between two builds without a remedy: they say nothing about one."""
        if self._varies is None:
            self._workshop.progress("without a remedy, once more")
            image = f"{self._name(first)}-again"
            try:
                self._engine.build(image, first.dockerfile, anew=True)
                other = self._read(image).files
                self._engine.forget(image)
            except BuildError:
                other = without.files
            self._varies = without.files - other
        return self._varies

    def _check(self, build: plan.Build) -> str:
        """Return what does not work any more; ``""`` when all does."""
        image = f"{self._name(build)}-checks"
        text = plan.checks(self._proof, self._engine.name(self._name(build)), build.targets)
        try:
            self._engine.build(image, text)
        except BuildError as error:
            if "\ncleanroom-works" in f"\n{error.output}" or " cleanroom-works" in error.output:
                return f"a second install fails: {_reason(error)}"
            return f"what was installed does not work: {_reason(error)}"
        self._engine.forget(image)
        return ""

    def _measure(self, build: plan.Build, *, compress: bool = True) -> _Result:
        return self._read(self._name(build), compress=compress)

    def _read(self, image: str, *, compress: bool = False) -> _Result:
        """Read an image and weigh the recipe's caches in what it adds. Raises ProofError."""
        target = self._engine.folder / f"saved-{token_hex(3)}"
        try:
            with open_image(self._engine.save(image, target)) as found:
                base = base_image.below(found, self._proof.base, self._below)
                reading = audit(found, library=self._workshop.library, base=base)
                own = list(zip(found.configuration.diff_ids, found.layers, strict=True))[len(self._below) :]
                compressed = sum(self._compressed(*item) for item in own) if compress else 0
        except (ImageError, BuildError) as error:
            raise ProofError(f"the image cannot be measured: {error}") from None
        finally:
            _discard(target)
        return self._weigh(reading, compressed)

    def _compressed(self, digest: str, layer: LayerSource) -> int:
        """Return what a layer weighs as it is pulled: with gzip at its usual level."""
        if digest not in self._sizes:
            self._sizes[digest] = gzipped(layer)[1]
        return self._sizes[digest]

    def _weigh(self, reading: Reading, compressed: int) -> _Result:
        found = reading.audit
        caches: dict[str, Held] = {}
        environment = reading.configuration.environment
        base = self._workshop.library.base(self._proof.base)
        known = [
            place
            for place in places.places(self._workshop.library, base, environment)
            if place.recipe.id == self._recipe.id and place.cache is not None
        ]
        homes = places.homes(reading.contents, environment, base)
        paths = {f"/{show(pattern)}" for pattern in places.spelled(known, homes)}
        for item in found.leftovers:
            if item.manager != self._recipe.id:
                continue
            paths.update(item.paths)
            if not item.is_base:
                held = caches.get(item.cache, Held())
                caches[item.cache] = Held(
                    bytes=held.bytes + item.bytes, linked=held.linked + item.linked, files=held.files + item.files
                )
        own = [layer for layer in found.layers if not layer.is_base]
        measured = Measured(
            layer=sum(layer.unpacked for layer in own),
            compressed=compressed,
            caches=MappingProxyType(dict(sorted(caches.items()))),
        )
        return _Result(measured, found.platform, verdict.files(reading.contents.tree), tuple(sorted(paths)))


def _discard(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    Path(f"{target}.tar").unlink(missing_ok=True)


def _reason(error: BuildError) -> str:
    """Return the line of a build that failed which says most: the last that is not the engine's own."""
    first, _, rest = str(error).partition("\n")
    lines = [line.strip() for line in rest.splitlines() if line.strip()]
    said = [line for line in lines if not _ENGINE_SAYS.match(line)]
    return (said or lines or [first])[-1][:300] if "took longer" not in first else first
