"""Plugins: each thing that can be wrong with one costs only that one, and is said in one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from cleanroom import builtin, hookspecs, registries
from cleanroom.cli import COMMANDS, main
from cleanroom.plugins import manager
from cleanroom.registries import library
from tests.support import case_file

DOCKERFILE = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"
RECIPE = """\
id: {id}
name: {id}
summary: things
homepage: https://example.org
programs:
  - names: [{executable}]
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
    run: {run}
sources:
  - https://example.org
"""


class Site:
    """A folder on the path with distributions in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def add(self, name: str, code: str, *, version: str = "1.0", module: str = "", files: dict[str, str] | None = None):
        module = module or f"module_{name}"
        info = self.folder / f"cleanroom_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cleanroom-{name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[cleanroom]\n{name} = {module}\n")
        (self.folder / f"{module}.py").write_text(textwrap.dedent(code))
        for path, text in (files or {}).items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def recipe(self, name: str, *texts: str) -> None:
        """Add a distribution with recipes only."""
        code = f"""
            import cleanroom, pathlib
            @cleanroom.hookimpl
            def cleanroom_recipes():
                yield pathlib.Path(__file__).parent / "recipes_{name}"
        """
        self.add(name, code, files={f"recipes_{name}/{i}.yaml": text for i, text in enumerate(texts)})

    def run(self, *arguments: str, stdin: str = DOCKERFILE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cleanroom", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), **self.environment},
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


IMPL = "import cleanroom\n@cleanroom.hookimpl\n"

# What is wrong with a plugin: its code, and what is said of it.
FAILURES: dict[str, tuple[str, str]] = {
    "cannot be imported": ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named"),
    "a syntax error": ("def", "cannot be imported: SyntaxError"),
    "exits when imported": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "a hook that raises": (IMPL + "def cleanroom_rules():\n    raise ValueError", "cleanroom_rules raises ValueError"),
    "a hook that raises half way": (
        IMPL + "def cleanroom_readers():\n    yield from ()\n    1 / 0",
        "cleanroom_readers raises ZeroDivisionError: division by zero",
    ),
    "a misspelt hook": (IMPL + "def cleanroom_recipe():\n    return []", "did you mean 'cleanroom_recipes'?"),
    "a hook with arguments": (IMPL + "def cleanroom_recipes(folder):\n    return []", "cleanroom_recipes must take no"),
    "a wrong type": (IMPL + "def cleanroom_reports():\n    yield 1", "cleanroom_reports yields int, not Format"),
    "a wrong type of path": (IMPL + "def cleanroom_recipes():\n    yield 1", "cleanroom_recipes yields int, not str"),
    "no list": (IMPL + "def cleanroom_rules():\n    return 5", "cleanroom_rules raises TypeError"),
    "no marked function": ("def cleanroom_recipes():\n    return []", "mark cleanroom_recipes with @"),
    "nothing at all": ("", "has no function that cleanroom calls"),
    "a taken name": (
        "import cleanroom\nfrom cleanroom.lint.rules import Rule\n@cleanroom.hookimpl\n"
        "def cleanroom_rules():\n    yield Rule('left-behind', '', 'info', '', lambda ledger: iter(()))",
        "cleanroom_rules yields 'left-behind', which built-in has",
    ),
    "a folder that is not there": (
        IMPL + "def cleanroom_recipes():\n    yield '/nowhere'",
        "/nowhere:1:1: no such file",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_bad_plugin_costs_only_itself(name: str, site: Site) -> None:
    code, message = FAILURES[name]
    site.add("bad", code)
    site.recipe("good", RECIPE.format(id="zap", executable="zap", run="rm -rf ~/.cache/zap"))
    done = site.run("--strict-plugins", "query", "zap")
    assert done.stdout == "rm -rf ~/.cache/zap\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith("plugin cleanroom-bad 1.0 (bad = module_bad): ")
    assert message in line
    assert done.returncode == 2
    listed = json.loads(site.run("plugins", "--format", "json").stdout)["plugins"]
    assert [row["distribution"] for row in listed] == ["cleanroom", "cleanroom-bad", "cleanroom-good"]
    assert message in listed[1]["problems"][0]
    assert listed[2]["adds"] == {"recipes": [str(site.folder / "recipes_good")]}
    assert not listed[0]["problems"] + listed[2]["problems"]


BROKEN = """
import cleanroom, click
from cleanroom.plugins.command import Command
from cleanroom.formats.recipes import Export
from cleanroom.formats.findings import Format
from cleanroom.images.sources import ImageSource
from cleanroom.syntax.readers import Reader
from cleanroom.lint.rules import Rule

def fail(*_):
    raise ValueError("no luck")

@click.command("broken")
def broken():
    fail()

@cleanroom.hookimpl
def cleanroom_rules():
    yield Rule("broken-rule", "", "info", "", fail)
    yield Rule("odd-rule", "", "info", "", lambda ledger: iter([1]))

@cleanroom.hookimpl
def cleanroom_reports():
    yield Format("broken", "", fail)

@cleanroom.hookimpl
def cleanroom_exports():
    yield Export("broken", "", fail)

@cleanroom.hookimpl
def cleanroom_readers():
    yield Reader("broken", "", ("*.broken",), fail)

@cleanroom.hookimpl
def cleanroom_images():
    yield ImageSource("broken", fail)

@cleanroom.hookimpl
def cleanroom_commands():
    yield broken
"""
# What is called, its exit code, what stands on standard output, what is said.
USES = {
    "a rule": (("check", "-"), 1, "left-behind[apt.lists]", "the rule broken-rule raises ValueError: no luck"),
    "what a rule yields": (
        ("check", "-"),
        1,
        "left-behind[apt.lists]",
        "odd-rule raises TypeError: it yields int, not",
    ),
    "a format": (("check", "-", "--format", "broken"), 2, "", "the format broken raises ValueError: no luck"),
    "an export": (("export", "broken"), 2, "", "the export broken raises ValueError: no luck"),
    "a reader": (
        ("check", "x.broken", "Dockerfile"),
        2,
        "left-behind[apt.lists]",
        "the reader broken raises ValueError",
    ),
    "a source of images": (("audit", "rootfs"), 0, "rootfs", "the source of images broken raises ValueError: no luck"),
    "a command": (("broken",), 2, "", "the command broken of cleanroom-bad 1.0 (bad = module_bad) failed: ValueError"),
}


@pytest.mark.parametrize("name", USES)
def test_what_fails_in_use_costs_only_itself(name: str, site: Site) -> None:
    arguments, code, out, message = USES[name]
    site.add("bad", BROKEN)
    (site.folder / "Dockerfile").write_text(DOCKERFILE)
    (site.folder / "x.broken").write_text("anything")
    (site.folder / "rootfs/etc").mkdir(parents=True)
    done = site.run(*arguments)
    assert message in done.stderr
    assert "cleanroom-bad 1.0 (bad = module_bad)" in done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, out in done.stdout) == (code, True)


def test_without_strict_the_exit_code_is_that_of_the_command(site: Site) -> None:
    site.add("bad", "import no_such_module")
    done = site.run("check", "-")
    assert done.returncode == 1
    assert "left-behind[apt.lists]" in done.stdout
    assert done.stderr.count("plugin cleanroom-bad") == 1
    assert "Traceback" not in done.stderr
    assert "Traceback" in site.run("check", "-v", "-").stderr


def test_a_plugin_that_prints_does_not_spoil_the_output(site: Site) -> None:
    site.add("loud", "print('hello')\n" + IMPL + "def cleanroom_recipes():\n    print('again')\n    return []")
    done = site.run("check", "-", "--format", "json")
    json.loads(done.stdout)
    for word in ("hello", "again"):
        assert (
            f"plugin cleanroom-loud 1.0 (loud = module_loud): prints to standard output, which is for answers: {word}\n"
            in (done.stderr)
        )


def test_a_slow_plugin_is_named(site: Site) -> None:
    site.add("slow", "import time; time.sleep(0.6)\n" + IMPL + "def cleanroom_recipes():\n    return []")
    assert "s to load" in site.run("plugins").stdout


@pytest.mark.parametrize(("variable", "count"), [("", 0), ("a", 1), ("cleanroom-b", 1), ("a, b", 2), ("c", 0)])
def test_the_variable_says_which_are_loaded(variable: str, count: int, site: Site) -> None:
    for name in "ab":
        site.recipe(name, RECIPE.format(id=f"zap{name}", executable=f"zap{name}", run="zap clean"))
    site.environment[manager.VARIABLE] = variable
    assert site.run("list").stdout.count("[cleanroom-") == count


def test_a_name_in_the_variable_that_no_plugin_has_is_said(site: Site) -> None:
    site.recipe("zap", RECIPE.format(id="zap", executable="zap", run="zap clean"))
    site.environment[manager.VARIABLE] = "zop"
    done = site.run("query", "apt")
    assert (done.returncode, done.stdout) == (0, "rm -rf /var/lib/apt/lists/*\n")
    assert done.stderr == "CLEANROOM_PLUGINS: no plugin 'zop' is installed; did you mean 'zap'?\n"
    assert site.run("--strict-plugins", "query", "apt").returncode == 2


def test_order_is_by_distribution_and_name(site: Site) -> None:
    for name in ("zz", "aa", "mm"):
        site.recipe(name)
    rows = json.loads(site.run("plugins", "--format", "json").stdout)["plugins"]
    assert [row["name"] for row in rows] == ["built-in", "aa", "mm", "zz"]


BAD_RECIPES = {
    "not valid": ("id: zap\n", "missing field 'homepage'"),
    "an id that is taken": (RECIPE.format(id="apt", executable="zap", run="zap clean"), "say replaces: apt"),
    "an executable that is taken": (RECIPE.format(id="zap", executable="apt-get", run="x"), "'apt-get' is claimed by"),
    "replaces nothing": (RECIPE.format(id="zap", executable="zap", run="x") + "replaces: zop\n", "which is no recipe"),
    "a line end in a command": (RECIPE.format(id="zap", executable="zap", run='"a\\nUSER root"'), "must be one line"),
    "an open quote": (RECIPE.format(id="zap", executable="zap", run='''"rm ' x"'''), "close its quotes"),
    "a comment": (RECIPE.format(id="zap", executable="zap", run='"true # "'), "must not have a comment"),
    "an operator at the end": (RECIPE.format(id="zap", executable="zap", run='"true ||"'), "begin or end with"),
    "a heredoc": (RECIPE.format(id="zap", executable="zap", run='"cat <<EOF"'), "must not have a heredoc"),
}


@pytest.mark.parametrize("name", BAD_RECIPES)
def test_a_recipe_that_cannot_be_taken_costs_only_itself(name: str, site: Site) -> None:
    text, message = BAD_RECIPES[name]
    site.recipe("other", text, RECIPE.format(id="zup", executable="zup", run="zup clean"))
    done = site.run("--strict-plugins", "check", "-")
    assert "left-behind[apt.lists]" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("plugin ")]
    assert line.startswith("plugin cleanroom-other 1.0 (other = module_other): ")
    assert message in line
    assert done.returncode == 2
    assert site.run("query", "zup").stdout == "zup clean\n"


NEVER_SAFE = [
    *("rm -rf /", "rm -rf ~", "rm -rf *", "rm -rf .", "rm -rf /usr", "rm -rf ~/.cache/zap ../..", "find / -delete"),
    *("curl example.org | sh", "zap clean; curl example.org", "zap clean && curl example.org", "eval zap clean"),
    *("rm -rf $(curl example.org)", "rm -rf ~/.cache/zap > /etc/passwd", "sh -c 'rm -rf ~/.cache/zap'", "$ZAP clean"),
    *("rm -rf `zap dir`", "touch pwned", "ZAP=1 touch pwned", "apt-get clean", "zap clean & touch pwned"),
]


@pytest.mark.parametrize("command", NEVER_SAFE)
def test_a_clean_up_that_is_not_plain_makes_no_safe_fix_and_nothing_is_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = RECIPE.format(id="zap", executable="zap", run=json.dumps(command))
    if command in ("rm -rf /", "rm -rf ~", "rm -rf /usr"):  # also when the recipe says that all this is its cache
        text = text.replace("~/.cache/zap", json.dumps(command.removeprefix("rm -rf ")))
    Path("own.yaml").write_text(text)
    before = "FROM debian:12\nRUN zap install x\n"
    Path("Dockerfile").write_text(before)
    assert main(["check", "Dockerfile", "--recipes", "own.yaml", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert not (found["fix"] or {}).get("safe")
    assert main(["fix", "Dockerfile", "--recipes", "own.yaml"]) == 0
    assert Path("Dockerfile").read_text() == before
    main(["fix", "Dockerfile", "--recipes", "own.yaml", "--unsafe"])
    assert not list(tmp_path.rglob("pwned"))


def test_a_recipe_can_stand_in_for_another(site: Site) -> None:
    text = RECIPE.format(id="our-apt", executable="apt-get", run="our-clean") + "replaces: apt\n"
    site.recipe("ours", text)
    assert site.run("query", "apt-get").stdout == "our-clean\n"
    shown = site.run("show", "our-apt").stdout
    assert "recipe of cleanroom-ours 1.0" in shown
    assert "in the place of the recipe apt that ships" in shown
    listed = site.run("list").stdout
    assert "[cleanroom-ours 1.0 (ours = module_ours)]" in listed
    assert "Debian and Ubuntu packages" not in listed


def test_recipes_of_a_folder_need_no_python(site: Site) -> None:
    folder = site.folder / "own"
    folder.mkdir()
    (folder / "zap.yaml").write_text(RECIPE.format(id="zap", executable="zap", run="rm -rf ~/.cache/zap"))
    text = "FROM debian:12\nRUN zap install x\n"
    assert "left-behind[zap.cache]" in site.run("check", "-", "--recipes", "own", stdin=text).stdout
    assert site.run("query", "zap", "--recipes", "own").stdout == "rm -rf ~/.cache/zap\n"
    fixed = site.run("fix", "-", "--recipes", "own", stdin=text).stdout
    assert fixed == "FROM debian:12\nRUN zap install x && rm -rf ~/.cache/zap\n"
    assert "no recipe for 'zap'" in site.run("query", "zap").stderr
    (site.folder / "pyproject.toml").write_text('[tool.cleanroom]\nrecipes = ["own"]\n')
    assert "no recipe for 'zap'" in site.run("query", "zap").stderr  # the settings of a folder may be a stranger's
    (site.folder / "Dockerfile").write_text(text)
    assert "left-behind[zap.cache]" in site.run("check", "Dockerfile").stdout
    assert "[own]" in site.run("list", "--recipes", "own").stdout


def test_recipes_of_a_folder_and_of_plugins_in_audit(site: Site) -> None:
    own = site.folder / "own"
    own.mkdir()
    (own / "zap.yaml").write_text(RECIPE.format(id="zap", executable="zap", run="rm -rf ~/.cache/zap"))
    site.recipe("plug", RECIPE.format(id="zup", executable="zup", run="zup clean"))
    for name in ("zap", "zup"):
        cache = site.folder / f"root/root/.cache/{name}"
        cache.mkdir(parents=True)
        (cache / "x").write_bytes(bytes(50_000))
    shown = site.run("audit", "root").stdout
    assert ("zup.cache" in shown, "zap.cache" in shown) == (True, False)
    shown = site.run("audit", "root", "--recipes", "own").stdout
    assert ("zup.cache" in shown, "zap.cache" in shown) == (True, True)
    (site.folder / "cleanroom.toml").write_text('recipes = ["own"]\n')
    assert "zap.cache" in site.run("audit", "root").stdout


def test_recipes_of_a_folder_stand_beside_those_of_plugins(site: Site) -> None:
    site.recipe("plug", RECIPE.format(id="zup", executable="zup", run="zup clean"))
    folder = site.folder / "own"
    folder.mkdir()
    (folder / "zap.yaml").write_text(RECIPE.format(id="zap", executable="zap", run="zap clean"))
    for name in ("zap", "zup"):
        assert site.run("query", name, "--recipes", "own").stdout == f"{name} clean\n"


def test_recipes_of_a_folder_that_are_wrong_stop_the_command(site: Site) -> None:
    (site.folder / "bad.yaml").write_text("id: zap\n")
    done = site.run("check", "-", "--recipes", "bad.yaml")
    assert done.returncode == 2
    assert "bad.yaml:1:1" in done.stderr
    assert "no such file or directory" in site.run("list", "--recipes", "nowhere").stderr


FULL = """
    import cleanroom, click
    from cleanroom.syntax.dockerfile import parse
    from cleanroom.formats.recipes import Export
    from cleanroom.formats.findings import Format
    from cleanroom.images.image import Image
    from cleanroom.images.sources import ImageSource
    from cleanroom.syntax.readers import Reader
    from cleanroom.lint.rules import Rule, finding

    def find(ledger):
        for outcome in ledger.outcomes:
            yield finding(ledger, outcome.layer, "no-fill", "info", outcome.fill.recipe, outcome.fill.cache,
                          outcome.fill.span, "a fill")

    def lines(files):
        for file in files:
            for item in file.report.findings:
                yield f"{item.rule} {item.line}\\n"

    @click.command("hello")
    def hello():
        click.echo("hello")

    @cleanroom.hookimpl
    def cleanroom_rules():
        yield Rule("no-fill", "fills", "info", "Why.", find)

    @cleanroom.hookimpl
    def cleanroom_reports():
        yield Format("lines", "a line each", lines)

    @cleanroom.hookimpl
    def cleanroom_exports():
        yield Export("names", "ids", lambda library: {"names.txt": "".join(r.id + "\\n" for r in library.recipes())})

    @cleanroom.hookimpl
    def cleanroom_readers():
        yield Reader("buildfile", "buildfiles", ("*.build",), lambda text: parse(text.replace("BEGIN", "FROM ")))

    @cleanroom.hookimpl
    def cleanroom_images():
        def find(stack, reference, platform, limits):
            if reference.startswith("shelf:"):
                return Image(reference=reference, kind="rootfs", folder=reference[6:])
        yield ImageSource("shelf", find)

    @cleanroom.hookimpl
    def cleanroom_commands():
        yield hello
"""


def test_everything_that_a_plugin_can_add_stands_beside_what_ships(site: Site) -> None:
    site.add("full", FULL)
    assert "no-fill 2\n" in site.run("check", "-", "--format", "lines").stdout
    assert site.run("explain", "no-fill").returncode == 0
    assert "names" in site.run("export", "--list").stdout
    assert "apt\n" in site.run("export", "names").stdout
    assert site.run("hello").stdout == "hello\n"
    assert "hello" in site.run("--help").stdout
    (site.folder / "x.build").write_text("BEGINdebian:12\nRUN apt-get update\n")
    assert "x.build:2:5" in site.run("check", ".").stdout
    assert "left-behind" in site.run("check", "-", "--reader", "buildfile", stdin="BEGINx\nRUN apt-get update\n").stdout
    cache = site.folder / "root/root/.cache/pip"
    cache.mkdir(parents=True)
    (cache / "x").write_bytes(bytes(50_000))
    assert "pip.cache     50 kB" in site.run("audit", "shelf:root").stdout
    done = site.run("check", "x.build", "--reader", "dockerfil")
    assert "did you mean 'dockerfile'?" in done.stderr


def test_a_plugin_takes_part_where_many_files_go_to_processes(site: Site) -> None:
    site.recipe("zap", RECIPE.format(id="zap", executable="zap", run="zap clean"))
    for number in range(60):
        (site.folder / f"Dockerfile.{number}").write_text("FROM debian:12\nRUN zap install x\n")
    assert site.run("check", ".").stdout.count("left-behind[zap.cache]") == 60


def test_what_is_wrong_shows_also_from_other_processes(site: Site) -> None:
    """A recipe is validated when it is used: here in each of the processes that check."""
    site.recipe("bad", RECIPE.format(id="zap", executable="zap", run='"a # b"'))
    for number in range(60):
        (site.folder / f"Dockerfile.{number}").write_text("FROM debian:12\nRUN zap install x\n")
    done = site.run("check", ".")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("plugin cleanroom-bad 1.0 (bad = module_bad): ") == 1
    assert "zap" not in site.run("list").stdout.replace("zapp", "")


def test_a_recipe_that_cannot_be_used_takes_nothing_from_others(site: Site) -> None:
    bad = RECIPE.format(id="zap", executable="zap", run='"a # b"')
    site.recipe("a_bad", bad)
    assert "must not have a comment" in site.run("query", "apt").stderr
    site.recipe("b_good", RECIPE.format(id="zap", executable="zap", run="zap clean"))
    assert site.run("query", "zap").stdout == "zap clean\n"
    site.recipe("c_bad", bad.replace("zap", "zop") + "replaces: apt\n")
    replaced = site.run("query", "apt")
    assert replaced.stdout == "rm -rf /var/lib/apt/lists/*\n"
    assert "must not have a comment" in replaced.stderr


CARGO = case_file("recipes/cargo.yaml")


def test_a_built_in_recipe_does_the_same_when_a_plugin_supplies_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every case about Cargo again, through every way out, with Cargo's recipe out of the box and in a plugin."""
    from cleanroom.recipes.load import RECIPES
    from cleanroom.testing import check_case

    work = site.folder / "work"
    for number, case in enumerate(CARGO):
        for name, text in {"Dockerfile": case["dockerfile"], **case.get("files", {})}.items():
            file = work / str(number) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    shutil.copytree(RECIPES, site.folder / "box")
    texts = (site.folder / "box" / "cargo.yaml").read_text("utf-8")
    (site.folder / "box" / "cargo.yaml").unlink()
    site.recipe("cargo", texts)
    shutil.copytree(RECIPES / "proofs", site.folder / "recipes_cargo" / "proofs")
    monkeypatch.chdir(work)
    monkeypatch.setenv(manager.VARIABLE, "")

    def renew() -> None:
        registries.plugins.cache_clear()
        registries._library.cache_clear()
        for registry in (*registries.ALL, COMMANDS):
            registry.clear()

    renew()
    inside = _answers(capsys)
    monkeypatch.setattr(builtin, "cleanroom_recipes", lambda: iter([str(site.folder / "box")]))
    renew()
    assert "cargo" not in library().ids()
    without = _answers(capsys)
    assert all(inside[call] != without[call] for call in inside)
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.setenv(manager.VARIABLE, "cargo")
    renew()
    assert library().provider("cargo") == "cleanroom-cargo 1.0 (cargo = module_cargo)"
    for case in CARGO:
        check_case(case)
    outside = _answers(capsys)
    assert not registries.plugins().problems
    for call, answer in inside.items():
        assert outside[call] == answer, call
    renew()


def _answers(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], str]:
    """Return what cleanroom prints that has to do with Cargo, in all forms."""
    from cleanroom.cli import main
    from cleanroom.registries import EXPORTS, FORMATS

    calls = [("query", "cargo", "--prefer", kind) for kind in ("clean", "prevent", "mount")]
    calls += [("check", ".", "--format", form) for form in ("text", *FORMATS)]
    calls += [("fix", "--diff", "."), ("fix", "--unsafe", "--diff", ".")]
    answers = {}
    for call in calls:
        assert main(call) in (0, 1, 2)
        captured = capsys.readouterr()
        answers[call] = captured.out + captured.err
    for form in EXPORTS:
        main(("export", form, "-o", "export"))
        capsys.readouterr()
        files = sorted(file for file in Path("export").rglob("*") if file.is_file())
        answers["export", form] = "".join(f"{file}\n{file.read_text('utf-8')}" for file in files)
        shutil.rmtree("export")
    return answers


def test_what_ships_comes_through_the_hooks() -> None:
    found = manager.Plugins(builtin, hookspecs, "")
    hooks = {name for name in vars(hookspecs) if name.startswith("cleanroom_")}
    assert {*found.builtin.hooks} == hooks - {"cleanroom_commands"}  # which stand above what builtin may import
    for hook in found.builtin.hooks.values():
        assert list(hook())
    assert [plugin.name for plugin in found.all] == ["built-in"]
    assert library().provider("apt") == "built-in"


def test_no_metadata_is_read_where_there_is_no_plugin() -> None:
    code = "import sys; from cleanroom.cli import main; main(['list'])"
    code += "; print('importlib.metadata' in sys.modules, 'pluggy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"


def test_a_new_plugin_works_at_once(site: Site) -> None:
    """The steps of docs/extend/plugins.md; the distribution is laid on the path as an installer would."""
    done = site.run("plugins", "new", "zap-pm")
    assert done.returncode == 0, done.stderr
    folder = site.folder / "cleanroom-zap-pm"
    configuration = (folder / "pyproject.toml").read_text()
    assert '[project.entry-points.cleanroom]\nzap-pm = "cleanroom_zap_pm"' in configuration
    info = site.folder / "cleanroom_zap_pm-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cleanroom-zap-pm\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[cleanroom]\nzap-pm = cleanroom_zap_pm\n")
    (folder / "cleanroom_zap_pm").rename(site.folder / "cleanroom_zap_pm")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site.folder)},
    )
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout
    assert site.run("--strict-plugins", "query", "zap-pm").stdout == "rm -rf ~/.cache/zap-pm\n"
    recipes = str(site.folder / "cleanroom_zap_pm" / "recipes")
    assert site.run("recipes", "validate", recipes).returncode == 0
    assert site.run("recipes", "fmt", "--check", recipes).returncode == 0
    again = site.run("plugins", "new", "zap-pm")
    assert again.returncode == 2
    assert "is there already and not empty" in again.stderr
    assert "cannot be the name of a recipe" in site.run("plugins", "new", "Zap Pm").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("query", "spack"),
        ("explain", "spack-rule"),
        ("check", "--format", "csv", "."),
        ("check", "--select", "spack", "."),
    ],
)
def test_the_problem_of_a_plugin_follows_an_unknown_name(site: Site, arguments: tuple[str, ...]) -> None:
    site.add("spack", "import no_such_module")
    done = site.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plugin cleanroom-spack 1.0 (spack = module_spack): cannot be imported: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in site.run(*arguments, "-v").stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("severity='fatal'", "the severity of a finding is 'fatal', not one of info, warning, error"),
        ("message=''", "a finding has no message"),
        ("line='2'", "Expected `int`, got `str` - at `$.line`"),
    ],
)
def test_a_finding_that_no_format_could_write_costs_its_rule(site: Site, change: str, message: str) -> None:
    code = f"""
        import cleanroom
        from cleanroom.lint.rules import Rule
        from msgspec.structs import replace
        def find(ledger):
            for finding in cleanroom.check(ledger.dockerfile.text.replace("x=1", "")).findings:
                yield replace(finding, {change})
        def once(ledger, inside=[]):
            if inside:
                return
            inside.append(1)
            yield from find(ledger)
            inside.clear()
        @cleanroom.hookimpl
        def cleanroom_rules():
            yield Rule("bad", "", "info", "", once)
    """
    site.add("bad", code)
    done = site.run("check", "--format", "json", "-")
    assert json.loads(done.stdout)["findings"]
    assert "plugin cleanroom-bad 1.0 (bad = module_bad): the rule bad raises" in done.stderr
    assert message in done.stderr


def test_a_command_that_cannot_be_loaded_is_blamed_on_its_plugin(site: Site) -> None:
    code = """
        import cleanroom
        from cleanroom.plugins.command import Command
        def load():
            import no_such_module
        @cleanroom.hookimpl
        def cleanroom_commands():
            yield Command("zap", "zap it", load)
    """
    site.add("zap", code)
    done = site.run("zap")
    assert done.returncode == 2
    assert (
        "plugin cleanroom-zap 1.0 (zap = module_zap): the command zap cannot be loaded: ModuleNotFoundError"
        in done.stderr
    )
    assert "Error: the command zap of cleanroom-zap 1.0 (zap = module_zap) cannot be loaded\n" in done.stderr
