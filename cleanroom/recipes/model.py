"""What a recipe says: everything known about one package manager, as frozen data.

Each class is one mapping of the YAML file (``recipes/<id>.yaml``); the JSON Schema ``recipes/recipe.schema.json``
describes the same fields for the person who writes them. Terms:

* *program*: an executable of the manager, by the base name of its path.
* *verb*: the words after the program and its options that say what to do (``install``, ``cache clean``); ``""`` is
  the program without any word, ``*`` any.
* *option*: a word that begins with ``-``. ``-y`` also matches inside a cluster (``-qy``); ``--setopt=keepcache=0``
  matches ``--setopt keepcache=0`` too; ``--cache`` matches ``--cache=x``.
* *path*: begins with ``/``, ``~`` (the home of the user in force), ``$NAME`` (a variable of the environment),
  ``<--option>`` (the value of that option of the command), ``<name>`` (the value of a setting of the recipe) or ``./``
  (the folder that the command works in); any part of it may be a glob. A relative value is one of that folder.
* *base*: a glob over the image a stage begins from (``debian:12*``, ``*/ubi8*``), or ``family:alpine``.
* *versions*: a range of the manager's version such as ``>=3.0`` or ``>=5, <7``; what a base image carries is known
  from ``bases.yaml``. Where the version is not known, a fact with a range may or may not hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, field

# Where the recipes that ship are: inside the package when installed, beside it in a checkout.
_HERE = os.path.dirname(os.path.abspath(__file__))
_DATA = os.path.join(_HERE, "data")
INSTALLED = os.path.isdir(_DATA)
FOLDER = _DATA if INSTALLED else os.path.join(os.path.dirname(os.path.dirname(_HERE)), "recipes")

NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Program(Struct, frozen=True, kw_only=True):
    """One executable (or Python module) of the manager, and how to find the verb on its command line."""

    names: tuple[str, ...]  # globs over the base name: pip, pip3, pip3.*
    modules: tuple[str, ...] = ()  # python -m NAME; a script of Python, which is then the verb: get-pip.py
    options_with_value: tuple[str, ...] = ()  # options whose value is the next word: -o, --root
    runs: tuple[str, ...] = ()  # verbs behind which another command stands: conda run -n x pip install y; "": no verb
    folder_options: tuple[str, ...] = ()  # options whose value is the folder it works in: npm --prefix
    single_dash: bool = False  # long options begin with one dash (go build -modcacherw): -mo is not -m -o
    words_before_verb: tuple[str, ...] = ()  # globs over words that are no verb: cargo +nightly build
    option_variables: tuple[str, ...] = ()  # variables that hold options, in front of those it is given: MAVEN_OPTS
    scripts: tuple[str, ...] = ()  # verbs behind which a script of the project stands: npm run build
    comes_along: bool = False  # is there wherever another program of the recipe is: apt-get beside apt


class Use(Struct, frozen=True, kw_only=True):
    """A kind of use of the manager: which of its command lines are meant. Empty fields ask for nothing."""

    verbs: tuple[str, ...]
    programs: tuple[str, ...] = ()  # only these of the recipe's programs (as named there)
    operands: str = ""  # behind the verb: "some" or "none"; empty: either
    tops_up: bool = False  # fetches only what is not there: nothing when an earlier layer holds it (go build)
    code: str = ""  # regular expression over program text on the command line: Rscript -e 'pak::pak("x")'
    with_options: tuple[str, ...] = ()  # at least one of these
    with_all_options: tuple[str, ...] = ()  # every one of these
    without_options: tuple[str, ...] = ()  # none of these
    with_variables: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)  # one of them says so
    with_settings: tuple[str, ...] = ()  # only where each of these settings of the recipe is known to have a value
    without_settings: tuple[str, ...] = ()  # only where none of these is known to have one
    versions: str = ""
    bases: tuple[str, ...] = ()


class CachePath(Struct, frozen=True, kw_only=True):
    """A place of a cache.

    A path with a variable, option or setting that is not set is passed over; of those left whose range and bases hold,
    the first is where the cache is.
    """

    path: str
    with_variable: str = ""  # only where this variable is set: MIX_XDG, whose value says nothing of the place
    user: str = ""  # only when root runs it, or only when another user does: "root", "other"
    versions: str = ""
    bases: tuple[str, ...] = ()


class Typical(Struct, frozen=True, kw_only=True):
    """A measured size, to give an idea: ``bytes`` left after ``of``."""

    bytes: int
    of: str
    bases: tuple[str, ...] = ()  # on which it is likely to be about the same; empty: on all
    source: str = ""


class Printed(Struct, frozen=True, kw_only=True):
    """A command of the manager that prints where the cache is, or a folder above it: ``$(gem env gemdir)/cache``."""

    command: str
    below: str = ""  # what stands between the folder that is printed and the cache: /cache


class Cache(Struct, frozen=True, kw_only=True):
    """A set of paths that the manager fills and no program at run time needs."""

    id: str
    what: str
    paths: tuple[CachePath, ...]
    filled_by: tuple[Use, ...]
    needed_by: tuple[Use, ...] = ()  # the uses that fail without it; those that fetch it by themselves need nothing
    refill: str = ""  # the command that fetches it for them, and leaves nothing else
    used_at_start_by: tuple[Use, ...] = ()  # uses that, as CMD or ENTRYPOINT, read it at each start of a container
    kept_out_by_file: str = ""  # a file of the base that empties it after each use (Debian's docker-clean)
    flat: bool = False  # holds files only: ``rm`` without ``-r`` empties it
    minor: bool = False  # too small to report on its own; shown by ``show`` and emptied with the others
    printed_by: tuple[Printed, ...] = ()
    linked: str = ""  # what its files are hard-linked with: removing them frees only what nothing else links
    typical: Typical | None = None


class Payload(Struct, frozen=True, kw_only=True):
    """What was installed, where it lies under a folder that looks like a cache: without it nothing works."""

    id: str
    what: str
    paths: tuple[CachePath, ...]
    made_by: tuple[Use, ...]
    source: str = ""


class Offline(Struct, frozen=True, kw_only=True):
    """Options and variables that forbid the network: what the command then uses must lie in the caches already."""

    caches: tuple[str, ...]  # which it then needs
    options: tuple[str, ...] = ()
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)  # name -> values; empty: any
    verbs: tuple[str, ...] = ()  # only these; empty: all that fill one of the caches
    programs: tuple[str, ...] = ()  # only these of the recipe's programs (as named there)
    source: str = ""


class Caller(Struct, frozen=True, kw_only=True):
    """A program of someone else that installs by way of the manager, and may need what its caches hold."""

    names: tuple[str, ...]
    verbs: tuple[str, ...] = ()  # only with one of these as its first word; empty: always
    source: str = ""


class Setting(Struct, frozen=True, kw_only=True):
    """A value that the manager stores and reads later, such as the place of a cache; paths ask for it as ``<name>``."""

    name: str
    set_by: tuple[str, ...] = ()  # verbs before the value: "config set cache"
    unset_by: tuple[str, ...] = ()  # verbs that forget it: "config delete cache"
    option: str = ""  # the option whose value it is: an installer's -p
    programs: tuple[str, ...] = ()  # only with these of the recipe's programs (as named there) it is
    files: tuple[str, ...] = ()  # configuration files that can say it
    pattern: str = ""  # regular expression over what is written to the file; its first group is the value


class Sign(Struct, frozen=True, kw_only=True):
    """A hint at the manager's version where the base image gives none: a file or a command in the Dockerfile.

    Without ``version`` it tells that the version of the base image may not be the one that runs.
    """

    version: str = ""
    of: str = ""  # the id of another manager whose version it tells: corepack prepare yarn@4
    files: tuple[str, ...] = ()  # globs over the base name of a file or folder that is copied in or written
    use: Use | None = None  # a command line


class Cleanup(Struct, frozen=True, kw_only=True):
    """A clean-up command of the manager itself, and what it empties. Several may match one command line."""

    use: Use
    empties: tuple[str, ...]  # cache ids
    leaves: str = ""  # what stays all the same, in words


class Prevention(Struct, frozen=True, kw_only=True):
    """A way to tell the manager not to keep a cache. Exactly one of option, variable, setting, file is given."""

    caches: tuple[str, ...]  # also payload that then lies elsewhere
    option: str = ""
    use: Use | None = None  # the uses that heed the option or variable; None: all that fill the caches
    variable: str = ""
    setting: str = ""  # verb of the manager that stores it: "config set global.no-cache-dir"
    values: tuple[str, ...] = ()  # of the variable or setting that prevent, in lower case; empty: any but ""
    files: tuple[str, ...] = ()  # configuration files
    pattern: str = ""  # regular expression over what is written to the file


class Remedy(Struct, frozen=True, kw_only=True):
    """Advice: one way to keep caches out of the image, as a person should write it.

    ``kind`` is ``clean`` (``run`` after the last fill, in the same RUN), ``prevent`` (``option`` on ``verbs``, or
    ``variable`` = ``value`` in ENV, or ``run`` before the first fill) or ``mount`` (cache mounts on ``targets``).
    """

    kind: str
    caches: tuple[str, ...]
    run: str = ""
    option: str = ""
    verbs: tuple[str, ...] = ()
    variable: str = ""
    value: str = ""
    targets: tuple[str, ...] = ()
    sharing: str = ""  # of the mount: shared, private, locked
    before: str = ""  # a command the remedy needs before the first fill
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # what a mount needs set
    leaves: str = ""
    note: str = ""
    versions: str = ""
    bases: tuple[str, ...] = ()
    root_only: bool = False  # only the root user can do it
    unproved: str = ""  # why it is not measured, where a proof could be


class Hazard(Struct, frozen=True, kw_only=True):
    """Something about the manager that goes wrong for real people.

    With ``use``, the clean-up commands it is about: the rule ``cleanup-fails`` reports them. ``effect`` is ``fails``
    (exits non-zero), ``asks`` (waits for an answer, or takes No), ``nothing`` (exits 0 and frees nothing) or
    ``refills`` (fills a cache again); without ``use`` it is knowledge for the reader.
    """

    id: str
    what: str  # one sentence: what happens
    effect: str
    use: Use | None = None
    when_prevented: tuple[str, ...] = ()  # holds only while these caches are prevented (pip cache purge)
    instead: str = ""  # the command that does what was meant
    source: str = ""
    measured: str = ""  # where no page tells of it: what was seen, with which version


class Keep(Struct, frozen=True, kw_only=True):
    """A path that a clean-up must not remove. ``folder``: the folder itself must stay, its contents may go."""

    path: str
    why: str
    folder: bool = False
    by_name: bool = False  # only a removal that names it is a mistake: whoever removes a folder above it means to
    needed_by: tuple[str, ...] = ()  # verbs: it matters only when one of them runs later; empty: always
    source: str = ""


class Lean(Struct, frozen=True, kw_only=True):
    """A way to install less that nothing at run time needs: recommended packages, documentation, byte code.

    The first option is the one advised, else the first value of the first variable, else ``text`` in the first file.
    """

    id: str
    what: str  # what is left out
    use: Use  # the command lines that could do with less
    options: tuple[str, ...] = ()  # each of them does it
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)  # name -> values that do it
    files: tuple[str, ...] = ()  # configuration files that can say it
    pattern: str = ""  # regular expression over what is written to the file
    text: str = ""  # what to write there
    removed_by: tuple[Use, ...] = ()  # commands that take it out again, later in the same RUN
    cost: str = ""  # what is lost
    typical: Typical | None = None  # bytes less
    source: str = ""


class Packages(Struct, frozen=True, kw_only=True):
    """Which command lines install packages that they name, and which take such away again."""

    installed_by: tuple[Use, ...]
    removed_by: tuple[Use, ...]  # those that they name
    undone_by: tuple[Use, ...] = ()  # without a name: what the last installation brought
    group_options: tuple[str, ...] = ()  # options whose value is a name for all that is installed: --virtual
    scope_options: tuple[str, ...] = ()  # options that say the same of another place: npm's --global


class Trial(Struct, frozen=True, kw_only=True):
    """How to see a hazard happen: in the RUN of the proof, after its install.

    What must come of it is the hazard's effect: ``run`` exits with ``exit`` (``fails``), or it exits 0 and the caches
    stay (``nothing``) or hold bytes again (``refills``), or they stay and ``prompt`` is printed (``asks``).
    """

    hazard: str  # its id
    install: str = ""  # in place of the proof's
    run: str = ""  # after it; empty: the install itself is what goes wrong
    exit: int = 0  # the exit code of a hazard that fails
    prompt: str = ""  # what a hazard that asks prints
    caches: tuple[str, ...] = ()  # what it is about; empty: all that the install fills


class MayDiffer(Struct, frozen=True, kw_only=True):
    """A path, perhaps with globs, that a remedy may change without harm, with all below it."""

    path: str
    why: str


class Proof(Struct, frozen=True, kw_only=True):
    """How to measure the recipe with the real manager in a real build. Each text is a line of shell."""

    id: str = ""  # a name for it where a recipe has several; empty: that of the base
    base: str  # the image to begin from
    of: str = ""  # what is installed, for a person; empty: ``install``
    pending: str = ""  # what it waits for, where nobody has run it yet
    sample: bool = False  # what is installed was made for the proof: its size tells nothing of other packages
    registry: tuple[str, ...] = ()  # what to run on the base to put a registry's files into /srv, to be served
    setup: tuple[str, ...] = ()  # what to run before the install, in layers that are not measured
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # from the setup on
    user: str = ""  # who installs; empty: the user of the base
    version: str = ""  # prints the manager's version; empty: its first program with --version
    install: str  # what fills the caches
    works: str  # exits 0 as long as what was installed works; calls something of it
    again: str = ""  # a second install, which must work after the clean-up too
    remedies: tuple[str, ...] = ()  # only these (as they are written), for those that have to do with this install
    may_differ: tuple[MayDiffer, ...] = ()
    cases: tuple[str, ...] = ()  # other lines in place of the install, to see that they leave what cleanroom says
    trials: tuple[Trial, ...] = ()


class Recipe(Struct, frozen=True, kw_only=True):
    """All that is known about one manager."""

    id: str
    name: str
    summary: str
    homepage: str
    aliases: tuple[str, ...] = ()
    official_image: str = ""  # the image on which ``query`` answers when no other is named
    newest: str = ""  # the newest major version that is known
    shell: str = ""  # what its commands are written in: powershell, cmd; empty: a POSIX shell
    programs: tuple[Program, ...]
    signs: tuple[Sign, ...] = ()
    settings: tuple[Setting, ...] = ()
    lists: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # variable that can name several folders -> what stands between them; the first is where it writes
    caches: tuple[Cache, ...] = ()  # empty: it leaves nothing, and ``without`` says why
    cleanups: tuple[Cleanup, ...] = ()
    preventions: tuple[Prevention, ...] = ()
    remedies: tuple[Remedy, ...] = ()  # best first
    without: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({})
    )  # kind of remedy -> why there is none
    hazards: tuple[Hazard, ...] = ()
    keep: tuple[Keep, ...] = ()
    payload: tuple[Payload, ...] = ()
    offline: tuple[Offline, ...] = ()
    prefetches: tuple[str, ...] = ()  # verbs that do nothing but fetch what a later command uses: mod download
    callers: tuple[Caller, ...] = ()
    sourced: tuple[str, ...] = ()  # ends of paths of scripts that set it up in the shell that reads them: nvm.sh
    lean: tuple[Lean, ...] = ()
    packages: Packages | None = None
    proof: tuple[Proof, ...] = ()  # one for each image or version to measure
    peers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)  # {"hadolint": ("DL3009",)}
    replaces: str = ""  # the id of a recipe that this one stands in for
    sources: tuple[str, ...]
    origin: str = ""  # the file it was read from

    def cache(self, identifier: str) -> Cache:
        """Return the cache with this id. Raises KeyError when there is none."""
        for cache in self.caches:
            if cache.id == identifier:
                return cache
        raise KeyError(identifier)


class Base(Struct, frozen=True, kw_only=True):
    """What the images that match ``images`` (globs over the name) and ``tags`` (globs over the tag) bring along."""

    images: tuple[str, ...]
    tags: tuple[str, ...] = ()
    family: str = ""  # debian, alpine, rhel, suse, arch, windows …
    sh: str = ""  # what /bin/sh is: dash, bash, busybox
    user: str = ""
    home: str = ""  # of that user
    uids: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # user -> its number
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    files: tuple[str, ...] = ()  # files that recipes ask about (``kept_out_by_file``)
    lean: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)  # recipe id -> lean ids it turns on
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # recipe id -> version
    sources: tuple[str, ...] = ()


class RecipeProblem(Struct, frozen=True, order=True):
    """What is wrong with a recipe, and where: ``line`` and ``column`` are 1-based, columns count characters."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class RecipeError(ValueError):
    """Text that is no recipe; ``problems`` says why."""

    def __init__(self, problems: Sequence[RecipeProblem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


def claims(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the names that no other recipe may have: a kind of name, and the name."""
    yield from (("name", name) for name in (recipe.id, *recipe.aliases))
    yield from (("executable", name) for program in recipe.programs for name in program.names)
    yield from (("Python module", name) for program in recipe.programs for name in program.modules)
