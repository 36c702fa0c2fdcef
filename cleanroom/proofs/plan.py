"""What is built to prove a recipe: the texts of Dockerfiles. Pure: a recipe in, builds out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.engine.build import build
from cleanroom.engine.events import Fill
from cleanroom.lint.fixes.place import DeclinedError, Site
from cleanroom.lint.fixes.remedies import insert_option
from cleanroom.recipes.facts import applies, at_home, home_of, remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Hazard, Proof, Recipe, Remedy, Trial
from cleanroom.syntax import dockerfile
from cleanroom.syntax.text import apply

REGISTRY = "CLEANROOM_REGISTRY"  # the variable that holds the address of the registry on the loopback interface
ADDRESS = f"@{REGISTRY}@"  # stands for it in the files of the registry
CERTIFICATES = "/usr/local/share/cleanroom-certificates.crt"
# The variables by which clients of registries are told which certificates to trust.
_TRUST = (
    *("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"),
    *("DENO_CERT", "GIT_SSL_CAINFO"),
)
WITHOUT, LATE = "without", "late"
SAID, EXIT = "/tmp/cleanroom-said", "/tmp/cleanroom-exit"  # what the command of a trial prints, and how it ends


class PlanError(ValueError):
    """A proof that cannot be built as written; the message says why."""


class Build(Struct, frozen=True, kw_only=True):
    """An image to build from the one that is prepared. ``image`` is its name."""

    image: str
    dockerfile: str
    remedy: Remedy | None = None
    text: str = ""  # of the remedy, as a person writes it
    trial: Trial | None = None
    hazard: Hazard | None = None
    case: str = ""  # a line in place of the install
    targets: tuple[str, ...] = ()  # of its cache mounts
    problem: str = ""  # why it cannot be built


def tools(proof: Proof, base: str, *, certificates: bool) -> str:
    """Return the Dockerfile of the base with what the proof sets up."""
    lines = [f"FROM {base}", *_trust(certificates), *_environment(proof, registry=False)]
    return "\n".join([*lines, *(_run(line) for line in proof.setup), ""])


def registry(proof: Proof, image: str) -> str:
    """Return the Dockerfile of an image whose /srv holds the files of the registry; ``image`` is what is set up."""
    lines = [f"FROM {image} AS made", *(_run(line) for line in proof.registry)]
    return "\n".join([*lines, "FROM scratch", "COPY --from=made /srv /srv", ""])


def prepared(proof: Proof, image: str, address: str) -> str:
    """Return the Dockerfile of what all builds begin from: what is set up, and the ``address`` of the registry."""
    lines = [f"FROM {image}"]
    if address:
        lines += [f"ENV {REGISTRY}={address}", *_environment(proof, registry=True)]
    if proof.user:
        lines.append(f"USER {proof.user}")
    return "\n".join([*lines, "LABEL cleanroom=proof", ""])


def _environment(proof: Proof, *, registry: bool) -> list[str]:
    return [f"ENV {name}={value}" for name, value in proof.environment.items() if (REGISTRY in value) == registry]


def _trust(certificates: bool) -> list[str]:
    if not certificates:
        return []
    values = " ".join(f"{name}={CERTIFICATES}" for name in _TRUST)
    return [f"COPY certificates.crt {CERTIFICATES}", f"ENV {values}"]


def version(recipe: Recipe, proof: Proof, image: str) -> str:
    """Return the Dockerfile that prints the manager's version; ``found_version`` finds it in what was printed."""
    command = proof.version or f"{recipe.programs[0].names[0]} --version"
    return (
        f"FROM {image}\n" + _run(f"printf 'cleanroom-%s: %s\\n' version \"$( ( {command} ) 2>&1 | head -n 1)\"") + "\n"
    )


def found_version(output: str) -> str:
    """Return what the build of ``version`` printed, without its colours (ECMA-48, 5.4); ``""`` for nothing."""
    match = re.search(r"cleanroom-version: (.*)", output)
    return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", match[1]).strip() if match else ""


def checks(proof: Proof, image: str, targets: tuple[str, ...]) -> str:
    """Return the Dockerfile that asks whether what was installed works, and installs a second time.

    Buildah before 1.30 removes the target of a cache mount from the image; that is no fault of the remedy.
    """
    lines = [f"FROM {image}"]
    if targets:
        lines += ["USER root", _run(f"mkdir -p {' '.join(targets)}")]
        if proof.user:
            lines.append(_run(f"chown {proof.user} {' '.join(targets)}"))
        lines.append(f"USER {proof.user or 'root'}")
    lines.append(_run(f"( {proof.works} ) && printf 'cleanroom-%s\\n' works"))
    if proof.again:
        lines.append(_run(f"( {proof.again} ) && printf 'cleanroom-%s\\n' again"))
    return "\n".join([*lines, ""])


def place(recipe: Recipe, proof: Proof, library: Library, found: str) -> Base:
    """Return what is known of the base, with the version of the manager that was ``found`` there."""
    base = library.base(proof.base)
    number = re.search(r"\d+(?:\.\d+)+|\d+", found)
    if number is None:
        return base
    return replace(base, versions={**base.versions, recipe.id: number[0]})


def builds(recipe: Recipe, proof: Proof, library: Library, base: Base, image: str, run: str = "") -> Iterator[Build]:
    """Yield what to build from ``image``, the prepared one; ``run`` is a name for this run, for the cache mounts.

    Raises PlanError.
    """
    user = proof.user or base.user or "root"
    home = home_of(user, base)
    start = f"FROM {image}\n"
    yield Build(image=WITHOUT, dockerfile=start + _run(proof.install) + "\n")
    chosen = remedies(recipe, proof, base)
    clean = next((remedy for remedy in chosen if remedy.kind == "clean"), None)
    if clean is not None:
        text = remedy_text(clean, home)
        yield Build(image=LATE, dockerfile=f"{start}{_run(proof.install)}\n{_run(text)}\n", remedy=clean, text=text)
    for number, remedy in enumerate(chosen, 1):
        text, name = remedy_text(remedy, home), f"remedy-{number}"
        try:
            body = _with_remedy(recipe, proof, remedy, library, home, f"{run}-{number}")
        except DeclinedError as error:
            yield Build(image=name, dockerfile="", remedy=remedy, text=text, problem=error.reason)
            continue
        targets = tuple(at_home(target, home) for target in remedy.targets)
        yield Build(image=name, dockerfile=start + body, remedy=remedy, text=text, targets=targets)
    hazards = {hazard.id: hazard for hazard in recipe.hazards}
    for number, trial in enumerate(proof.trials, 1):
        hazard = hazards[trial.hazard]
        install = _line(trial.install or proof.install)
        line = f"{install} && {_observed(trial.run)}" if trial.run else _observed(install)
        yield Build(image=f"hazard-{number}", dockerfile=f"{start}{_run(line)}\n", trial=trial, hazard=hazard)


def case(number: int, line: str, image: str) -> Build:
    """Return a build of ``line`` in place of the install. Raises PlanError."""
    return Build(image=f"case-{number}", dockerfile=f"FROM {image}\n{_run(line)}\n", case=line)


def _observed(command: str) -> str:
    """Return a command that passes however ``command`` ends, and keeps how it did and what it printed."""
    return f"{{ ( {command} ) >{SAID} 2>&1; printf %s $? >{EXIT}; }}"


def instructions(build: Build) -> str:
    """Return the instructions of a build, without the image that it begins from."""
    return build.dockerfile.partition("\n")[2]


def remedies(recipe: Recipe, proof: Proof, base: Base) -> list[Remedy]:
    """Return the remedies that a proof is about: those that hold on its base, or those it names. Raises PlanError."""
    if not proof.remedies:
        is_root = (proof.user or base.user or "root") == "root"
        return [
            remedy
            for remedy in recipe.remedies
            if applies(remedy.versions, remedy.bases, base, recipe.id) and (is_root or not remedy.root_only)
        ]
    by_name = {written(remedy): remedy for remedy in recipe.remedies}
    for name in proof.remedies:
        if name not in by_name:
            raise PlanError(f"the proof names a remedy that is not there: {name} (there are: {', '.join(by_name)})")
    return [by_name[name] for name in proof.remedies]


def written(remedy: Remedy) -> str:
    """Return what a proof calls a remedy: its command, its option, NAME=VALUE, the targets of its mounts."""
    if remedy.kind == "mount":
        return " ".join(remedy.targets)
    if remedy.variable:
        return f"{remedy.variable}={remedy.value}"
    return remedy.option or remedy.run


def _with_remedy(recipe: Recipe, proof: Proof, remedy: Remedy, library: Library, home: str, run: str) -> str:
    """Return the instructions of the install with a remedy. Raises DeclinedError."""
    if remedy.kind == "mount":
        environment = [f"ENV {name}={at_home(value, home)}" for name, value in remedy.environment.items()]
        mounts = remedy_text(remedy, home, _uid(proof)).split()
        # A name of its own, so that it begins empty also in an engine whose cache mounts outlive the run.
        mounts = [f"{mount},id=cleanroom{run}-{number}" for number, mount in enumerate(mounts)]
        line = f"{remedy.before} && {proof.install}" if remedy.before else proof.install
        return "\n".join([*environment, f"RUN {' '.join(mounts)} {_line(line)}", ""])
    if remedy.kind == "clean":
        return _run(f"{proof.install} && {remedy.run}") + "\n"
    if remedy.variable:
        return f"ENV {remedy.variable}={remedy.value}\n{_run(proof.install)}\n"
    if remedy.run:
        return _run(f"{remedy.run} && {proof.install}") + "\n"
    return _run(with_option(recipe, proof, remedy, library)) + "\n"


def _uid(proof: Proof) -> str:
    return "1000" if proof.user else ""


def with_option(recipe: Recipe, proof: Proof, remedy: Remedy, library: Library) -> str:
    """Return the install with an option on each command that fills a cache of the remedy. Raises DeclinedError."""
    environment = "".join(f"ENV {name}={value}\n" for name, value in proof.environment.items())
    head = f"FROM {proof.base}\n{environment}RUN "
    text = f"{head}{_line(proof.install)}\n"
    ledger = build(dockerfile.parse(text), library)
    edits = set()
    for layer in ledger.stages[0].layers:
        site = Site(ledger, layer)
        for event in layer.events:
            if isinstance(event, Fill) and event.recipe.id == recipe.id and event.cache.id in remedy.caches:
                edits.add(insert_option(site, event, remedy.option, remedy.verbs))
    if not edits:
        raise DeclinedError("cleanroom sees no command in the install that fills one of these caches")
    return apply(text, sorted(edits))[len(head) :].rstrip("\n")


def _run(line: str) -> str:
    return f"RUN {_line(line)}"


def _line(line: str) -> str:
    """Return a line of a recipe as it may stand behind RUN. Raises PlanError for one that would say more than that."""
    if line.startswith(("-", "[", "<")) or "\n" in line or "\r" in line or line.rstrip().endswith("\\"):
        raise PlanError(f"no line of shell that can stand in a RUN: {line!r}")
    return line
