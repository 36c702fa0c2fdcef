"""Package managers that do what their recipe says, for builds that are simulated.

Shared with the project is the reading of one command line that the shell has already expanded (its operands and
options, whether a ``use`` of a recipe means it, where a cache lies for it). Not shared: what configuration says is read
from the files that are there; who else needs a cache (``NEEDS``), also by way of another manager; what lies in a cache
and is none (``INSTALLED``). So a recipe that forgets one of these is found out.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import replace

from cleanroom.engine.argv import has_option, matches, split_options
from cleanroom.recipes.facts import Context, at_home, cache_paths
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Cache, Payload, Prevention, Program, Recipe, Use
from cleanroom.syntax.paths import UNKNOWN, absolute

from .sandbox import Reply, Request, acting_as, inside


@dataclass(frozen=True, slots=True)
class Need:
    """Command lines that fail where a cache is gone: by program, its first operand, one of the options, a variable."""

    programs: str
    caches: str  # recipe.cache, several between blanks: one of them is enough
    verbs: str = "*"
    options: str = ""
    variables: str = ""  # NAME=value, several between blanks; a value of * is any but an empty one
    code: str = ""  # in one of the words


NEEDS = (
    Need("apt-cache", "apt.lists", "show showpkg showsrc search depends rdepends policy madison pkgnames dump unmet"),
    Need("apt", "apt.lists", "list search show changelog source download policy depends rdepends"),
    Need("apt-get", "apt.lists", "changelog source download indextargets"),
    Need("aptitude", "apt.lists", "search show versions changelog download why install"),
    Need("apt-show-versions", "apt.lists"),
    Need("apt-file", "apt.lists", "search find list show"),
    Need("rosdep tasksel apt-fast nala apt-build ubuntu-drivers", "apt.lists", "install autoinstall"),
    Need("mk-build-deps", "apt.lists", options="-i --install"),
    Need("gdebi apt-rdepends apt-venv debootstrap-apt", "apt.lists"),
    Need("yum", "yum.cache", options="-C --cacheonly"),
    Need("dnf dnf4 dnf5", "dnf.cache", options="-C --cacheonly"),
    Need("microdnf", "microdnf.cache", options="-C --cacheonly"),
    Need("tdnf", "tdnf.cache", options="-C --cacheonly"),
    Need("zypper", "zypper.cache", "in install up update dup search se info", options="--no-refresh"),
    Need("apk", "apk.index", "add upgrade fetch search", options="--no-network"),
    Need("npm npx", "npm.cache", options="--offline"),
    Need("npm npx", "npm.cache", variables="npm_config_offline=true NPM_CONFIG_OFFLINE=true"),
    Need("yarn yarnpkg", "yarn.cache yarn.mirror yarn.local", options="--offline"),
    Need("yarn yarnpkg", "yarn.mirror yarn.local", variables="YARN_ENABLE_NETWORK=0 YARN_ENABLE_NETWORK=false"),
    Need("pnpm", "pnpm.store", options="--offline"),
    Need("uv uvx", "uv.cache", options="--offline"),
    Need("uv uvx", "uv.cache", variables="UV_OFFLINE=1 UV_OFFLINE=true"),
    Need("conda mamba", "conda.tarballs conda.packages", options="--offline"),
    Need("conda mamba", "conda.tarballs conda.packages", variables="CONDA_OFFLINE=1 CONDA_OFFLINE=true"),
    Need("micromamba", "micromamba.tarballs micromamba.packages", options="--offline"),
    Need("mvn mvnd mvnw", "maven.repository", options="-o --offline"),
    Need("gradle gradlew", "gradle.caches", options="--offline"),
    Need("sbt", "sbt.libraries sbt.ivy", options="-Dsbt.offline=true --offline"),
    Need("lein", "leiningen.repository", options="-o"),
    Need("lein", "leiningen.repository", variables="LEIN_OFFLINE=*"),
    Need("cs coursier", "coursier.cache", variables="COURSIER_MODE=offline"),
    Need("cargo", "cargo.registry cargo.git", options="--offline --frozen"),
    Need("cargo", "cargo.registry cargo.git", variables="CARGO_NET_OFFLINE=true"),
    Need("go", "go.modules", "build install test run vet list generate mod get", variables="GOPROXY=off"),
    Need(
        "composer composer.phar", "composer.cache", "install update require i", variables="COMPOSER_DISABLE_NETWORK=1"
    ),
    Need("dotnet", "dotnet.packages", "build publish run test pack", options="--no-restore --no-build"),
    Need("mix", "hex.packages", "deps.get", variables="HEX_OFFLINE=1 HEX_OFFLINE=true"),
    Need("rebar3", "rebar3.packages hex.packages", variables="REBAR_OFFLINE=1"),
    Need("julia", "julia.registries", variables="JULIA_PKG_OFFLINE=true"),
    Need("julia", "julia.registries", code=r"Pkg\.offline\("),
    Need("dart flutter pub", "pub.packages", options="--offline"),
    Need("dart", "pub.packages", "compile run test analyze"),
    Need("flutter", "pub.packages", "build test analyze drive", options="--no-pub"),
    Need("deno", "deno.npm deno.modules", options="--cached-only"),
    Need("cabal", "cabal.packages", options="--offline"),
    Need("conan", "conan.downloads conan.sources", options="-nr --no-remote"),
    Need("python python3 hf", "huggingface.hub", variables="HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1"),
)


@dataclass(frozen=True, slots=True)
class Installed:
    """What a command line installs into, or has linked from, the folder of a cache: it works only while that is there.

    ``place`` is a path, or ``{recipe.cache}`` where the cache lies. A link is made in a folder of its own.
    """

    programs: str
    what: str
    place: str
    verbs: str = "*"
    options: str = ""
    variables: str = ""
    code: str = ""
    files: str = ""  # a file that must hold ``pattern``
    pattern: str = ""
    unless: str = ""  # options that turn it off


INSTALLED = (
    Installed("uv uvx", "what uv linked", "{uv.cache}", options="--link-mode=symlink"),
    Installed("uv uvx", "what uv linked", "{uv.cache}", variables="UV_LINK_MODE=symlink"),
    Installed(
        "conda mamba", "what conda linked", "{conda.packages}", "install create update env", options="--softlink"
    ),
    Installed(
        "conda mamba",
        "what conda linked",
        "{conda.packages}",
        "install create update env",
        variables="CONDA_ALWAYS_SOFTLINK=1 CONDA_ALWAYS_SOFTLINK=true",
    ),
    Installed(
        "conda mamba",
        "what conda linked",
        "{conda.packages}",
        "install create update env",
        files="~/.condarc",
        pattern=r"(?m)^always_softlink:\s*(true|yes|on)",
    ),
    Installed(
        "mvn mvnd mvnw", "the project's own artefacts", "{maven.repository}", code=r"^install$|:install(?:-file)?$"
    ),
    Installed("gradle gradlew", "the project's own artefacts", "~/.m2/repository", code=r"publishToMavenLocal$"),
    Installed("lein", "the project's own artefacts", "~/.m2/repository", "install"),
    Installed("dart flutter pub", "activated programs", "~/.pub-cache/bin", code=r"^activate$"),
    Installed("npm yarn pnpm", "the Cypress that its package downloads", "~/.cache/Cypress", code=r"^cypress(@|$)"),
    Installed("npm yarn pnpm", "the browser that its package downloads", "~/.cache/puppeteer", code=r"^puppeteer(@|$)"),
    Installed("pre-commit", "environments of hooks", "~/.cache/pre-commit", "install-hooks"),
    Installed("cs coursier", "Java", "~/.cache/coursier/arc", "java setup java-home"),
    Installed("bazelisk bazel", "bazel itself", "~/.cache/bazelisk"),
    Installed("pnpm", "global programs", "{pnpm.store}", "add install i update", options="-g --global"),
    Installed("conan", "packages made here", "~/.conan2/p/own", "create export export-pkg"),
)


@dataclass(slots=True)
class Memory:
    """What is known of a stage besides its files."""

    base: Base
    places: dict[str, set[str]] = field(default_factory=dict)  # recipe.cache -> where it was filled or asked for
    payload: dict[str, str] = field(default_factory=dict)  # what was installed where: all of it should work in the end
    stored: dict[tuple[str, str], str] = field(default_factory=dict)  # values that managers were told to keep
    prevented: set[tuple[str, str, str]] = field(default_factory=set)  # recipe, cache, home ("" for all)
    emptied: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)

    def copy(self) -> Memory:
        """Return what a stage that stands on this one begins with."""
        places = {name: set(paths) for name, paths in self.places.items()}
        return Memory(
            self.base,
            places,
            dict(self.payload),
            dict(self.stored),
            set(self.prevented),
            set(self.emptied),
            set(self.filled),
        )


@dataclass(slots=True)
class Call:
    """A command line of a manager."""

    recipe: Recipe
    program: Program
    operands: list[str]
    options: list[str]
    request: Request
    home: str
    user: str
    memory: Memory

    @property
    def folder(self) -> str:
        """Where it works."""
        wanted = self.program.folder_options
        given = (option.partition("=")[2] for option in self.options if option.partition("=")[0] in wanted)
        return absolute(next(given, "."), self.request.cwd).rstrip("/") or "/"

    def uses(self, use: Use) -> bool | None:
        """Return True if it is of this use; None where that depends on a version that is not known."""
        known = {name for recipe, name in self.memory.stored if recipe == self.recipe.id}
        if set(use.with_settings) - known or set(use.without_settings) & known:
            return False
        environment = self.request.environment
        if use.with_variables and not any(
            value and (not values or value.lower() in values)
            for name, values in use.with_variables.items()
            for value in (environment.get(name, ""),)
        ):
            return False
        return matches(use, self.recipe, self.program, self.operands, self.options, self.memory.base)

    def has(self, option: str) -> bool:
        """Return True if it has this option."""
        return has_option(self.options, option, single_dash=self.program.single_dash)

    def place(self, cache: Cache | Payload) -> str:
        """Return where a cache or payload lies for it, "" where that is nowhere."""
        context = Context(
            base=self.memory.base,
            home=self.home,
            environment=dict(self.request.environment),
            options=self.options,
            folder=self.folder,
            stored=self.memory.stored,
            user=self.user,
        )
        found = cache_paths(self.recipe, cache, context)
        return next((path for path in found if UNKNOWN not in path and not path.startswith("~")), "")

    def is_prevented(self, name: str) -> bool:
        """Return True if an option, a variable, a setting or a file keeps a cache empty."""
        known = self.memory.prevented
        if (self.recipe.id, name, "") in known or (self.recipe.id, name, self.home) in known:
            return True
        return any(name in each.caches and self._heeds(each) for each in self.recipe.preventions)

    def _heeds(self, prevention: Prevention) -> bool:
        if prevention.use is not None and not self.uses(prevention.use):
            return False
        if prevention.option:
            return self.has(prevention.option)
        value = self.request.environment.get(prevention.variable, "") if prevention.variable else ""
        return bool(value) and (not prevention.values or value.lower() in prevention.values)


class Managers:
    """The managers of one root folder. ``excused`` are needs that the build before the fix does not meet either."""

    def __init__(self, root: Path, library: Library, memory: Memory, excused: set[str]) -> None:
        self.root = root
        self.library = library
        self.memory = memory
        self.excused = excused
        self.unmet: list[tuple[str, str]] = []  # recipe.cache, the command line

    # -- files -----------------------------------------------------------------------------------------------------

    def files(self, name: str) -> Iterator[str]:
        """Yield the files of a cache, wherever it is known to be."""
        for place in sorted(self.memory.places.get(name, ())):
            yield from self.below(place)

    def below(self, place: str) -> Iterator[str]:
        """Yield the files at or below a path, which may hold globs."""
        fixed = re.split(r"/[^/]*[*?\[]", place, maxsplit=1)[0]
        start = str(inside(self.root, fixed))
        for found in glob.glob(start + place[len(fixed) :], include_hidden=True):
            if os.path.isdir(found) and not os.path.islink(found):
                for folder, _, names in os.walk(found):
                    yield from (os.path.join(folder, name) for name in names)
            else:
                yield found

    def holds(self, name: str) -> bool:
        """Return True if a cache has any file."""
        return next(self.files(name), None) is not None

    def write(self, place: str, name: str, request: Request, *, flat: bool = False) -> str:
        """Write a file into a place as the user in force; return its path, "" where that user may not."""
        path = re.sub(r"\[(.)[^]]*\]", r"\1", place).replace("*", "sample").replace("?", "x")
        if path == place:
            path = f"{place}/{name}" if flat else f"{place}/files/{name}"
        with acting_as(request.uid, request.gid):
            try:
                target = inside(self.root, path)
                os.makedirs(target.parent, exist_ok=True)
                with open(target, "a") as file:
                    file.write(f"{name}\n")
            except OSError:
                return ""
        return path

    def empty(self, place: str, request: Request) -> bool:
        """Remove what is in a place as the user in force; return True if all of it went."""
        is_whole = True
        with acting_as(request.uid, request.gid):
            for file in list(self.below(place)):
                try:
                    os.unlink(file)
                except OSError:
                    is_whole = False
            if not set(place) & set("*?["):
                shutil.rmtree(inside(self.root, place), ignore_errors=True)
        return is_whole

    # -- command lines ----------------------------------------------------------------------------------------------

    def call(self, recipe: Recipe, program: Program, words: list[str], request: Request) -> Reply:
        """Do what a command line of a manager does."""
        operands, options = split_options(words, program)
        if following := self._following(program, operands, words):
            return Reply(argv=("/usr/bin/env", "--", *following), reads=False)
        home = request.environment.get("HOME") or "/"
        call = Call(
            recipe, program, operands, options, request, home, "root" if not request.uid else "other", self.memory
        )
        self._read_files(call)
        for cache in recipe.caches:
            for printed in cache.printed_by:
                if printed.command.split()[1:] == words:
                    return Reply(out=call.place(cache).removesuffix(printed.below) + "\n", reads=False)
        if words and words[-1] in ("--version", "--help", "-h"):
            return Reply(out="1.0.0\n", reads=False)
        if failed := self._fails(call):
            return failed
        if not self._cleans(call):
            return Reply(1, error=f"{recipe.id}: permission denied\n")
        self._settings(call)
        self._fill(call)
        return Reply(reads=False)

    def _following(self, program: Program, operands: list[str], words: list[str]) -> list[str]:
        if operands and operands[0] in program.runs:
            rest = words[words.index(operands[0]) + 1 :]
            while rest and rest[0].startswith("-"):
                rest = rest[2 if rest[0] in program.options_with_value else 1 :]
            return rest
        if "" in program.runs and operands and self.library.program(operands[0]):
            return words[words.index(operands[0]) :]
        return []

    def _fails(self, call: Call) -> Reply | None:
        for hazard in call.recipe.hazards:
            is_met = hazard.use is not None and hazard.effect == "fails" and call.uses(hazard.use) is True
            if is_met and all(map(call.is_prevented, hazard.when_prevented)):
                return Reply(1, error=f"{call.recipe.id}: {hazard.what}\n")
        for cache in call.recipe.caches:
            if any(call.uses(use) for use in cache.needed_by):
                self._know(call.recipe.id, cache, call)
                if not self.meets(f"{call.recipe.id}.{cache.id}", call.request):
                    return Reply(100, error=f"{call.recipe.id}: {cache.what}: gone\n")
        return None

    def meets(self, caches: str, request: Request) -> bool:
        """Return True if one of some caches (recipe.cache) is there, or the build before the fix lacked it too."""
        line = " ".join(request.argv)
        if any(map(self.holds, caches.split())) or f"{caches} {line}" in self.excused:
            return True
        self.unmet.append((caches, line))
        return False

    def _know(self, recipe: str, cache: Cache, call: Call) -> str:
        place = call.place(cache)
        if place:
            self.memory.places.setdefault(f"{recipe}.{cache.id}", set()).add(place)
        return place

    def _cleans(self, call: Call) -> bool:
        cleaned = [each for each in call.recipe.cleanups if call.uses(each.use) is not False]
        wanted = {name for each in cleaned for name in each.empties}
        is_whole = True
        for cache in call.recipe.caches:
            if cache.id in wanted and (place := self._know(call.recipe.id, cache, call)):
                self.memory.emptied.add(f"{call.recipe.id}.{cache.id}")
                is_whole = self.empty(place, call.request) and is_whole
        return is_whole

    def _fill(self, call: Call) -> None:
        name = re.sub(r"\W+", "-", " ".join(call.operands))[:40].strip("-") or "nothing"
        for cache in call.recipe.caches:
            is_filled = any(call.uses(use) for use in cache.filled_by)  # not where a version that is unknown decides
            if not is_filled or call.is_prevented(cache.id):
                continue
            if cache.kept_out_by_file and inside(self.root, cache.kept_out_by_file).exists():
                continue
            if place := self._know(call.recipe.id, cache, call):
                self.memory.filled.add(f"{call.recipe.id}.{cache.id}")
                self.write(place, name, call.request, flat=cache.flat)
        for payload in call.recipe.payload:
            is_made = any(call.uses(use) is not False for use in payload.made_by)
            if is_made and not call.is_prevented(payload.id) and (place := call.place(payload)):
                self._install(f"{call.recipe.id}.{payload.id}", place, name, call.request)

    def _install(self, what: str, place: str, name: str, request: Request) -> None:
        if path := self.write(place, f"installed-{name}", request):
            self.memory.payload[f"{what}: {name}"] = path

    # -- what recipes do not say --------------------------------------------------------------------------------------

    def around(self, program: str, words: list[str], request: Request) -> Reply | None:
        """Do what ``NEEDS`` says of a command line of any program; return a reply where it fails."""
        operands = [word for word in words if not word.startswith("-")]
        for need in NEEDS:
            if program in need.programs.split() and _means(need, operands, words, request.environment):
                self.ask(need.caches, words, request)
                if not self.meets(need.caches, request):
                    return Reply(100, error=f"{program}: {need.caches}: gone\n")
        return None

    def install(self, program: str, words: list[str], request: Request) -> None:
        """Do what ``INSTALLED`` says of a command line of any program that went well."""
        self.plug_and_play(program, words, request)
        operands = [word for word in words if not word.startswith("-")]
        home = request.environment.get("HOME") or "/"
        for made in INSTALLED:
            if program not in made.programs.split() or not _means(made, operands, words, request.environment):
                continue
            if made.files and not self._says(at_home(made.files, home), made.pattern):
                continue
            name = re.sub(r"\W+", "-", " ".join(operands))[:40].strip("-") or "nothing"
            place = at_home(made.place, home)
            if place.startswith("{"):
                self.ask(place.strip("{}"), words, request)
                known = sorted(self.memory.places.get(place.strip("{}"), ()))
                if not known:
                    continue
                place = known[-1]
            self._install(made.what, place, name, request)

    def plug_and_play(self, program: str, words: list[str], request: Request) -> None:
        """Have what Yarn 2 or later installs work only from its cache, but where .yarnrc.yml says otherwise."""
        operands = [word for word in words if not word.startswith("-")]
        if program == "npm" and any(re.match(r"@yarnpkg/cli-dist(?:@[2-9]|$)", word) for word in operands):
            self.tell_version("yarn", "4.0")
        if program not in ("yarn", "yarnpkg") or (operands[:1] or ["install"])[0] not in ("install", "add", "up"):
            return
        package = inside(self.root, f"{request.cwd}/package.json")
        is_told = package.is_file() and re.search(
            r'"packageManager":\s*"yarn@[2-9]', package.read_text(errors="replace")
        )
        version = self.memory.base.versions.get("yarn") or "1"
        if not is_told and version.startswith(("0", "1")):
            return
        if self._says(f"{request.cwd}/.yarnrc.yml", r"(?m)^nodeLinker:\s*[\"']?(?:node-modules|pnpm)"):
            return
        home = request.environment.get("HOME") or "/"
        is_global = not self._says(f"{request.cwd}/.yarnrc.yml", r"(?m)^enableGlobalCache:\s*false")
        place = f"{home}/.yarn/berry/cache" if is_global else f"{request.cwd}/.yarn/cache"
        self._install("what Yarn runs from its cache", place, "yarn", request)

    def ask(self, caches: str, words: list[str], request: Request) -> None:
        """Have it known where caches lie for a command line."""
        for name in caches.split():
            recipe_id, _, cache_id = name.partition(".")
            if recipe_id not in self.library.ids():
                continue
            recipe = self.library.find(recipe_id)
            found = [cache for cache in recipe.caches if cache.id == cache_id]
            operands, options = split_options(words, recipe.programs[0])
            home = request.environment.get("HOME") or "/"
            call = Call(
                recipe,
                recipe.programs[0],
                operands,
                options,
                request,
                home,
                "root" if not request.uid else "other",
                self.memory,
            )
            for cache in found:
                self._know(recipe_id, cache, call)

    def _says(self, file: str, pattern: str) -> bool:
        path = inside(self.root, file)
        return path.is_file() and re.search(pattern, path.read_text(errors="replace")) is not None

    # -- configuration ------------------------------------------------------------------------------------------------

    def _settings(self, call: Call) -> None:
        recipe, memory = call.recipe, self.memory
        line = " ".join(call.operands)
        for sign in recipe.signs:
            if sign.use and call.uses(sign.use):
                self.tell_version(sign.of or recipe.id, sign.version)
        for setting in recipe.settings:
            for words in setting.set_by:
                if line.startswith(words) and (value := line[len(words) :].strip(" =")):
                    memory.stored[recipe.id, setting.name] = absolute(value, call.folder)
            if any(line.startswith(words) for words in setting.unset_by):
                memory.stored.pop((recipe.id, setting.name), None)
        for prevention in recipe.preventions:
            if prevention.setting and line.startswith(prevention.setting):
                value = line[len(prevention.setting) :].strip(" =")
                if not prevention.values or value.lower() in prevention.values:
                    home = "" if call.has("--global") or call.has("-g") else call.home
                    memory.prevented.update((recipe.id, cache, home) for cache in prevention.caches)

    def tell_version(self, manager: str, version: str) -> None:
        """Note which version of a manager is there."""
        versions: Mapping[str, str] = MappingProxyType({**self.memory.base.versions, manager: version})
        self.memory.base = replace(self.memory.base, versions=versions)

    def _read_files(self, call: Call) -> None:
        """Note what the files that are there say of a manager."""
        recipe, memory = call.recipe, self.memory
        for prevention in recipe.preventions:
            for file in prevention.files:
                if any(re.search(prevention.pattern, text) for _, text in self._texts(file, call)):
                    home = call.home if file.startswith("~") else ""
                    memory.prevented.update((recipe.id, cache, home) for cache in prevention.caches)
        for setting in recipe.settings:
            for file in setting.files:
                for folder, text in self._texts(file, call):
                    if match := re.search(setting.pattern, text):
                        value = match[1].strip().strip("\"'")
                        if "$" not in value:
                            memory.stored[recipe.id, setting.name] = absolute(value, folder)

    def _texts(self, file: str, call: Call) -> Iterator[tuple[str, str]]:
        path = f"{call.folder.rstrip('/')}/{file[2:]}" if file.startswith("./") else at_home(file, call.home)
        folder, _, name = path.rpartition("/")
        place = inside(self.root, folder)
        if set(folder) & set("*?[") or not place.is_dir():
            return
        for found in sorted(os.listdir(place)) if set(name) & set("*?[") else [name]:
            if fnmatchcase(found, name) and (place / found).is_file() and (place / found).stat().st_size < 1 << 16:
                yield folder, (place / found).read_text(errors="replace")


def _means(use: Need | Installed, operands: list[str], words: list[str], environment: Mapping[str, str]) -> bool:
    if use.verbs != "*" and (not operands or operands[0] not in use.verbs.split()):
        return False
    if use.options and not any(
        word == option
        or word.startswith(f"{option}=")
        or " ".join(words[index : index + 2]) == option.replace("=", " ")
        for index, word in enumerate(words)
        for option in use.options.split()
    ):
        return False
    if use.variables:
        pairs = (each.partition("=")[::2] for each in use.variables.split())
        if not any(
            (name in environment and value == environment[name].lower()) or (value == "*" and environment.get(name))
            for name, value in pairs
        ):
            return False
    return not use.code or any(re.search(use.code, word) for word in words)
