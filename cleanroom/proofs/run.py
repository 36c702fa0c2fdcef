"""Run proofs: build with each remedy and without, measure the images, judge."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from cleanroom.images.image import Image, ImageError, LayerSource, gzipped
from cleanroom.images.sources import open_image
from cleanroom.images.tree import show
from cleanroom.proofs import cases, fills, plan, snapshot, verdict
from cleanroom.proofs.difference import Allowed, Plain, differences
from cleanroom.proofs.engines import BuildError, Engine
from cleanroom.proofs.prediction import Prediction, predict, removed_by, sees
from cleanroom.proofs.servers import serving
from cleanroom.recipes import measurements
from cleanroom.recipes.facts import at_home
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import CaseProof, HazardProof, Held, Measured, Proved, RemedyProof
from cleanroom.recipes.model import Base, Proof, Recipe, Remedy

_MOST_SAID = 64 * 1024  # bytes of what a trial prints
_LARGEST_TEXT = 1 << 20  # bytes, of a registry's file that may name its address
_ENGINE_SAYS = re.compile(r'(?i)error: |time="|STEP \d|COMMIT|-->|\[\d/\d\]|(sub)?process exited|exit status')


class ProofError(Exception):
    """A proof that could not be run: no base, a setup that fails, an install that does not work by itself.

    Its cause is the BuildError, with what was printed, if there was one.
    """


class Workshop(Struct):
    """An engine, and what a run of proofs has at hand. ``progress`` is called with what is being built."""

    engine: Engine
    library: Library
    bases: Mapping[str, str] = field(default_factory=dict)
    certificates: str = ""
    progress: Callable[[str], None] = lambda _: None
    quick: bool = False  # no cases, only remedies and hazards
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
    base = workshop.base(proof)
    with _prepared(recipe, proof, workshop) as (bench, version):
        try:
            builds = list(bench.builds())
        except plan.PlanError as error:
            raise ProofError(str(error)) from None
        return bench.run(builds, base, version)


def find_fills(recipe: Recipe, proof: Proof, workshop: Workshop, lines: Sequence[str]) -> Iterator[fills.Landed]:
    """Yield where the files of each line land, which is run in place of the install. Raises ProofError."""
    with _prepared(recipe, proof, workshop) as (bench, _):
        for number, line in enumerate(lines, 1):
            try:
                yield bench.landed(plan.case(number, line, workshop.engine.name(bench.prepared)))
            except (BuildError, plan.PlanError) as error:
                reason = _reason(error) if isinstance(error, BuildError) else str(error)
                raise ProofError(f"{line}: the build fails: {reason}") from error


@contextmanager
def _prepared(recipe: Recipe, proof: Proof, workshop: Workshop) -> Iterator[tuple[_Bench, str]]:
    """Build what a proof begins from; yields what works on it, and the version of the manager. Raises ProofError."""
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
        yield _Bench(recipe, proof, workshop, plan.place(recipe, proof, library, version), prepared), version


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
    caches: tuple[str, ...]  # the paths of the recipe's caches
    kept: tuple[str, ...]  # what must stay, even below them
    folders: tuple[str, ...]  # of which only the contents may go


class _Bench:
    """Builds, measures and judges what a proof asks for, from an image that is prepared."""

    def __init__(self, recipe: Recipe, proof: Proof, workshop: Workshop, place: Base, prepared: str) -> None:
        self._recipe = recipe
        self._proof = proof
        self._workshop = workshop
        self._engine = workshop.engine
        self._place = place  # the base, with the version of the manager
        self._below = workshop.engine.diff_ids(prepared)
        self.prepared = prepared
        self._base: snapshot.Snapshot | None = None  # what is prepared
        self._payload: tuple[str, ...] = ()  # where what was installed lies, as the engine says
        self._sizes: dict[str, int] = {}  # of layers, compressed, by digest

    def run(self, builds: list[plan.Build], base: str, version: str) -> Proved:
        """Return what was proved. Raises ProofError."""
        first, *others = builds
        without, plain = self._first(first)
        late = next((self._late(build) for build in others if build.image == plan.LATE), None)
        remedies = [
            self._remedy(build, without, plain) for build in others if build.remedy and build.image != plan.LATE
        ]
        hazards = [self._hazard(build, without) for build in others if build.hazard is not None]
        seen = [] if self._workshop.quick else self._cases(without)
        self._engine.forget(self._name(first))
        engine, recipe, proof = self._engine, self._recipe, self._proof
        digest = engine.diff_ids(base.removeprefix("localhost/").rpartition(":")[2])
        return Proved(
            proof=measurements.proof_id(proof),
            judge=measurements.JUDGE,
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
            cases=(self._install_case(first, without), *seen),
        )

    def builds(self) -> Iterator[plan.Build]:
        """Yield what to build for all that the proof asks. Raises PlanError."""
        image = self._engine.name(self.prepared)
        library = self._workshop.library
        return plan.builds(self._recipe, self._proof, library, self._place, image, f"-{token_hex(4)}")

    def landed(self, build: plan.Build) -> fills.Landed:
        """Return where the files of a build landed. Raises BuildError, ProofError."""
        self._workshop.progress(build.case)
        self._engine.build(self._name(build), build.dockerfile)
        with self._saved(self._name(build)) as image:
            result = self._measure(image)
            shown = self._shown(image)
        self._engine.forget(self._name(build))
        assert self._base is not None
        states = self._predicted(build).states
        return fills.landed(build.case, self._base, shown, result.caches, result.measured.caches, states)

    # -- what is built -------------------------------------------------------------------------------------------------

    def _name(self, build: plan.Build) -> str:
        return f"{self.prepared}-{build.image}"

    def _first(self, build: plan.Build) -> tuple[_Result, Plain]:
        """Build without a remedy, twice: what fails here makes the whole proof worthless. Raises ProofError."""
        self._workshop.progress("without a remedy")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError as error:
            raise ProofError(f"the install fails by itself: {_reason(error)}") from error
        with self._saved(self._name(build)) as image:
            result = self._measure(image)
            result.measured = replace(result.measured, compressed=self._compressed(image))
            shown = self._shown(image)
        self._payload = self._predicted(build).payload
        if problem := self._check(build):
            raise ProofError(f"without a remedy, too, {problem}")
        self._workshop.progress("without a remedy, once more")
        name = f"{self._name(build)}-again"
        try:
            self._engine.build(name, build.dockerfile, anew=True)
        except BuildError as error:
            raise ProofError(f"the install fails when it is run again: {_reason(error)}") from error
        with self._saved(name) as image:
            again = self._shown(image)
        self._engine.forget(name)
        assert self._base is not None
        return result, Plain(base=self._base, first=shown, again=again)

    def _late(self, build: plan.Build) -> Measured | None:
        self._workshop.progress(f"{build.text}, in a later layer")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError:
            return None
        with self._saved(self._name(build)) as image:
            measured = replace(self._measure(image).measured, compressed=self._compressed(image))
        self._engine.forget(self._name(build))
        return measured

    def _remedy(self, build: plan.Build, without: _Result, plain: Plain) -> RemedyProof:
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
        with self._saved(self._name(build)) as image:
            result = self._measure(image)
            compressed = self._compressed(image)
            shown = self._shown(image)
        left = {cache: verdict.held_in(result.measured.caches, cache) for cache in remedy.caches}
        saved = without.measured.layer - result.measured.layer
        other = differences(plain, shown, self._allowed(build, remedy, without, result))
        judged, reason = verdict.of_remedy(remedy, without.measured.caches, left, saved, other)
        if judged == verdict.PROVED and (problem := self._check(build)):
            judged, reason = verdict.FAILED, problem
        if judged == verdict.PROVED:
            judged, reason = self._foreseen(build, without, left)
        self._engine.forget(self._name(build))
        layer = result.measured.layer
        return replace(said, verdict=judged, reason=reason, layer=layer, compressed=compressed, left=left)

    def _allowed(self, build: plan.Build, remedy: Remedy, *results: _Result) -> Allowed:
        return Allowed(
            caches=tuple(path for result in results for path in result.caches),
            kept=(*self._payload, *(path for result in results for path in result.kept)),
            folders=tuple(path for result in results for path in result.folders),
            targets=build.targets,
            removed=removed_by(remedy.before, self._workshop.library),
            declared=tuple(item.path for item in self._proof.may_differ),
        )

    def _foreseen(self, build: plan.Build, without: _Result, left: Mapping[str, int]) -> tuple[str, str]:
        """Judge what the engine says of a build whose caches are empty now."""
        states = self._predicted(build).states
        states = {cache: state for cache, state in states.items() if cache in left}
        before = {cache: verdict.held_in(without.measured.caches, cache) for cache in left}
        return verdict.of_case(states, before, left)

    def _hazard(self, build: plan.Build, without: _Result) -> HazardProof:
        trial, hazard = build.trial, build.hazard
        assert trial is not None
        assert hazard is not None
        found = HazardProof(
            hazard=hazard.id,
            verdict=verdict.VOID,
            fingerprint=measurements.of_trial(self._recipe, self._proof, trial, hazard),
        )
        if not sees(hazard, self._recipe, self._proof, self._workshop.library, self._place, trial):
            return replace(found, reason="cleanroom does not see the hazard in this command")
        self._workshop.progress(f"hazard {hazard.id}")
        try:
            self._engine.build(self._name(build), build.dockerfile)
        except BuildError as error:
            return replace(found, reason=f"the build fails: {_reason(error)}")
        with self._saved(self._name(build)) as image:
            left = self._measure(image).measured.caches
            texts = snapshot.texts(self._own(image), (plan.SAID, plan.EXIT), _MOST_SAID)
        self._engine.forget(self._name(build))
        code = texts.get(plan.EXIT, "")
        if not code.isdigit():
            return replace(found, reason="how the command ended is not known")
        judged, reason = verdict.of_hazard(
            hazard, trial, without.measured.caches, left, int(code), texts.get(plan.SAID, "")
        )
        return replace(found, verdict=judged, reason=reason, exit=int(code))

    def _cases(self, without: _Result) -> list[CaseProof]:
        """Build other lines than the install, and hold what they leave beside what the engine says."""
        found = []
        base = self._engine.name(self.prepared)
        for number, line in enumerate(cases.lines(self._recipe, self._proof, self._workshop.library, self._place), 1):
            build = plan.case(number, line, base)
            self._workshop.progress(line)
            try:
                self._engine.build(self._name(build), build.dockerfile)
            except BuildError as error:
                found.append(CaseProof(run=line, verdict=verdict.VOID, reason=f"the build fails: {_reason(error)}"))
                continue
            with self._saved(self._name(build)) as image:
                caches = self._measure(image).measured.caches
            self._engine.forget(self._name(build))
            found.append(self._case(build, line, caches, without.measured.caches))
        return found

    def _install_case(self, first: plan.Build, without: _Result) -> CaseProof:
        return self._case(first, self._proof.install, without.measured.caches, without.measured.caches)

    def _case(self, build: plan.Build, line: str, caches: Mapping[str, Held], without: Mapping[str, Held]) -> CaseProof:
        held = {cache: size for cache in caches if (size := verdict.held_in(caches, cache))}
        before = {cache: verdict.held_in(without, cache) for cache in without}
        judged, reason = verdict.of_case(self._predicted(build).states, before, held, self._minor())
        return CaseProof(run=line, verdict=judged, reason=reason, held=held)

    def _minor(self) -> tuple[str, ...]:
        return tuple(cache.id for cache in self._recipe.caches if cache.minor)

    def _predicted(self, build: plan.Build) -> Prediction:
        library = self._workshop.library
        return predict(self._recipe, self._proof, library, self._place, plan.instructions(build))

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

    # -- what is measured ----------------------------------------------------------------------------------------------

    @contextmanager
    def _saved(self, name: str) -> Iterator[Image]:
        """Yield an image as it is read. Raises ProofError."""
        target = self._engine.folder / f"saved-{token_hex(3)}"
        try:
            with open_image(self._engine.save(name, target)) as image:
                yield image
        except (ImageError, BuildError) as error:
            raise ProofError(f"the image cannot be measured: {error}") from None
        finally:
            _discard(target)

    def _own(self, image: Image) -> tuple[LayerSource, ...]:
        """Return the layers that an image adds to what is prepared."""
        return image.layers[len(self._below) :]

    def _shown(self, image: Image) -> snapshot.Snapshot:
        """Return all that an image shows."""
        if self._base is None:
            self._base = snapshot.read(image.layers[: len(self._below)])
        return snapshot.read(self._own(image), self._base)

    def _compressed(self, image: Image) -> int:
        """Return what the layers weigh as they are pulled: with gzip at its usual level."""
        digests = image.configuration.diff_ids[len(self._below) :]
        for digest, layer in zip(digests, self._own(image), strict=True):
            if digest not in self._sizes:
                self._sizes[digest] = gzipped(layer)[1]
        return sum(self._sizes[digest] for digest in digests)

    def _measure(self, image: Image) -> _Result:
        """Weigh the recipe's caches in what an image adds."""
        library = self._workshop.library
        below = base_image.below(image, self._proof.base, self._below)
        return self._weigh(audit(image, library=library, base=below))

    def _weigh(self, reading: Reading) -> _Result:
        found = reading.audit
        caches: dict[str, Held] = {}
        environment = reading.configuration.environment
        library = self._workshop.library
        base = library.base(self._proof.base)
        own = [item for item in places.places(library, base, environment) if item.recipe.id == self._recipe.id]
        homes = places.homes(reading.contents, environment, base)
        paths = _spelled((item for item in own if item.cache is not None and not item.only_alone), homes)
        kept = _spelled((item for item in own if item.cache is None), homes)
        folders = {at_home(keep.path, f"/{show(home)}") for keep in self._recipe.keep if keep.folder for home in homes}
        for item in found.leftovers:
            if item.manager != self._recipe.id:
                continue
            paths.update(item.paths)
            if not item.is_base:
                held = caches.get(item.cache, Held())
                caches[item.cache] = Held(
                    bytes=held.bytes + item.bytes, linked=held.linked + item.linked, files=held.files + item.files
                )
        measured = Measured(
            layer=sum(layer.unpacked for layer in found.layers if not layer.is_base),
            caches=MappingProxyType(dict(sorted(caches.items()))),
        )
        return _Result(measured, found.platform, tuple(sorted(paths)), tuple(sorted(kept)), tuple(sorted(folders)))


def _spelled(found: Iterable[places.Place], homes: Iterable[bytes]) -> set[str]:
    return {f"/{show(pattern)}" for pattern in places.spelled(found, homes)}


def _discard(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    Path(f"{target}.tar").unlink(missing_ok=True)


def _reason(error: BuildError) -> str:
    """Return the line of a build that failed which says most: the last that is not the engine's own."""
    first, _, rest = str(error).partition("\n")
    lines = [line.strip() for line in rest.splitlines() if line.strip()]
    said = [line for line in lines if not _ENGINE_SAYS.match(line)]
    return (said or lines or [first])[-1][:300] if "took longer" not in first else first
