"""What people of other linters expect: each convenience of the command line, and help that is there."""

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import click
import jsonschema
import pytest

from cleanroom.cli import cli
from cleanroom.project import settings_reference
from tests.cli.test_cli import CLEAN, DIRTY, Result, Run, cleanroom_process, run
from tests.support import ROOT

__all__ = ["run"]  # a fixture

APT = "FROM debian:12\nRUN apt-get update && apt-get install -y curl\n"


def commands(group: click.Group, context: click.Context, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, context, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("form", ["-h", "--help"])
def test_every_command_has_help(run: Run, form: str) -> None:
    for path in commands(cli, click.Context(cli, help_option_names=["-h", "--help"])):
        page = run(*path, form)
        assert (page.code, page.err) == (0, ""), path
        assert "\\b" not in page.out, path


def test_verbose_before_the_command(run: Run) -> None:
    Path("Dockerfile").write_text("FROM debian\nCOPY x.sh /\nRUN /x.sh\n")
    assert "not known" in run("-v", "check", ".").err
    assert "not known" not in run("check", ".").err


def test_excludes_of_named_files(run: Run) -> None:
    Path("cleanroom.toml").write_text('exclude = ["vendor/"]\n')
    Path("vendor/x").mkdir(parents=True)
    Path("vendor/x/Dockerfile").write_text(DIRTY)
    assert run("check", "vendor/x/Dockerfile").code == 1
    assert run("check", "--force-exclude", "vendor/x/Dockerfile") == Result(0, "", "")


def test_gitignore(run: Run) -> None:
    Path(".git").mkdir()
    Path(".gitignore").write_text("build/\n")
    Path("build").mkdir()
    Path("build/Dockerfile").write_text(DIRTY)
    Path("Dockerfile").write_text(CLEAN)
    assert run("check", ".").code == 0
    assert run("check", "--no-gitignore", ".").code == 1
    assert run("check", "build/Dockerfile").code == 1
    Path("cleanroom.toml").write_text("gitignore = false\n")
    assert run("check", ".").code == 1


def test_concise_quiet_and_exit_zero(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    result = run("check", "--format", "concise", "-q", "--exit-zero", ".")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Dockerfile:2:5: warning: left-behind[pip.cache]: pip leaves ")
    assert result.out.endswith(" [fix]\n")
    assert run("check", "--exit-zero", "nowhere").code == 2
    assert run("check", "--format", "concise", ".").err == "1 finding in 1 file: 1 warning\n"


def test_statistics(run: Run) -> None:
    Path("a").mkdir()
    Path("a/Dockerfile").write_text(DIRTY + "RUN gem install rails\n")
    Path("Dockerfile").write_text(APT)
    result = run("check", "--statistics", ".")
    lines = [line.split() for line in result.out.splitlines()]
    assert [(line[0], line[-1]) for line in lines if line] == [
        *(("1", "left-behind[apt]"), ("1", "left-behind[gem]"), ("1", "left-behind[pip]")),
        *(("2", "a/Dockerfile"), ("1", "Dockerfile")),
    ]
    data = json.loads(run("check", "--statistics", "--format", "json", ".").out)
    assert [(row["rule"], row["manager"], row["count"]) for row in data["rules"]] == [
        *(("left-behind", "apt", 1), ("left-behind", "gem", 1), ("left-behind", "pip", 1)),
    ]
    assert [row["file"] for row in data["files"]] == ["a/Dockerfile", "Dockerfile"]
    assert all(row["bytes"] > 10**6 for row in data["files"])


def test_a_baseline_survives_moved_lines_and_folders(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a").mkdir()
    Path("a/Dockerfile").write_text(DIRTY)
    assert run("check", "--write-baseline", "known.json", ".") == Result(0, "", "known.json: 1 finding\n")
    Path("a/Dockerfile").write_text(f"# moved\n\n{DIRTY}RUN gem install rails\n")
    result = run("check", "--format", "concise", "--baseline", "known.json", ".")
    assert result.code == 1
    assert [line.partition(": ")[0] for line in result.out.splitlines()] == ["a/Dockerfile:5:5"]
    Path("cleanroom.toml").write_text('baseline = "known.json"\n')
    monkeypatch.chdir("a")
    assert run("check", "-q", "--statistics", "Dockerfile").out.startswith("1 ")
    assert run("check", "--write-baseline", "../known.json", ".").err == "../known.json: 2 findings\n"
    assert run("check", str(Path("Dockerfile").absolute())).code == 0


def test_add_ignores(run: Run) -> None:
    Path("a").mkdir()
    Path("a/Dockerfile").write_text(DIRTY)
    Path("Dockerfile").write_text(APT)
    run("check", "--write-baseline", "known.json", "a")
    result = run("check", "--add-ignores", "--reason", "as ever", "--baseline", "known.json", ".")
    assert (result.code, result.out) == (0, "")
    assert result.err == "Dockerfile:2: ignored: left-behind[apt.lists]\n1 finding ignored by comments.\n"
    assert "# cleanroom: ignore=left-behind[apt.lists] as ever\nRUN apt-get" in Path("Dockerfile").read_text()
    assert Path("a/Dockerfile").read_text() == DIRTY
    done = cleanroom_process("check", "--add-ignores", "-", input=APT)
    assert done.stdout == APT.replace("RUN", "# cleanroom: ignore=left-behind[apt.lists]\nRUN")
    assert run("check", "--add-ignores", "nowhere").code == 2
    assert run("check", "--add-ignores", "--fix", ".").code == 2
    assert run("check", "--reason", "x", ".").code == 2
    assert run("check", "--add-ignores", "--reason", "one\ntwo", ".").code == 2


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "x"}', '{"schema": "cleanroom/baseline/1", "files": [1]}'])
def test_a_baseline_that_is_none(run: Run, text: str) -> None:
    Path("Dockerfile").write_text(DIRTY)
    Path("known.json").write_text(text)
    result = run("check", "--baseline", "known.json", ".")
    assert result.code == 2
    assert "--baseline: known.json: is no baseline that cleanroom wrote" in result.err
    assert "--baseline: gone.json: no such file" in run("check", "--baseline", "gone.json", ".").err


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments], check=True, capture_output=True)


def test_only_what_was_changed(run: Run) -> None:
    git("init", "-q", ".")
    Path("Dockerfile").write_text(DIRTY)
    Path("b.Dockerfile").write_text(DIRTY)
    git("add", ".")
    git("commit", "-qm", "one")
    Path("Dockerfile").write_text(f"# above\n{DIRTY}RUN gem install \\\n  rails\n")
    Path("new.Dockerfile").write_text(DIRTY)
    result = run("check", "--format", "concise", "--diff-base", "HEAD", ".")
    assert [line.partition(": ")[0] for line in result.out.splitlines()] == ["Dockerfile:4:5", "new.Dockerfile:2:5"]
    assert "--diff-base: " in run("check", "--diff-base", "nowhere", ".").err
    assert "--diff-base: " in run("check", "--diff-base", "--output=x", ".").err
    assert not Path("x").exists()


def test_changes_run_nothing_that_the_repository_names(run: Run, tmp_path: Path) -> None:
    git("init", "-q", ".")
    Path("Dockerfile").write_text(DIRTY)
    git("add", ".")
    git("commit", "-qm", "one")
    evil = f"sh -c 'touch {tmp_path}/ran; cat'"
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge"):
        git("config", key, evil)
    git("config", "extensions.partialClone", "evil")
    git("config", "remote.evil.url", str(tmp_path))
    git("config", "remote.evil.promisor", "true")
    git("config", "remote.evil.uploadpack", evil)
    git("config", "protocol.file.allow", "always")
    Path(".gitattributes").write_text("* diff=evil filter=evil\n")
    for blob in Path(".git/objects").glob("??/*"):  # each is missing once, the blob among them
        content = blob.read_bytes()
        blob.unlink()
        run("check", "--diff-base", "HEAD", ".")
        assert not (tmp_path / "ran").exists(), blob
        blob.write_bytes(content)


def test_standard_input_by_a_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(text: str) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))

    Path("a").mkdir()
    Path("a/cleanroom.toml").write_text('ignore = ["left-behind[pip]"]\n')
    feed(DIRTY)
    assert run("check", "--stdin-filename", "a/Dockerfile", "-").code == 0
    feed(DIRTY)
    assert run("check", "--stdin-filename", "b/Dockerfile", "-").out.startswith("b/Dockerfile:2:5 ")


def test_which_settings(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    Path(".cleanroom.toml").write_text('ignore = ["left-behind[pip]"]\n')
    Path("other.toml").write_text('fail-on = "error"\n')
    assert run("check", ".").code == 0
    assert run("check", "--isolated", ".").code == 1
    assert run("check", "--config", "other.toml", ".").code == 0
    assert run("check", "--config", "other.toml", ".").out
    assert run("check", "--config", "gone.toml", ".").code == 2
    assert run("check", "--config", "other.toml", "--isolated", ".").code == 2
    shown = run("check", "--show-settings", ".").out
    assert shown.startswith(f"# {Path('.cleanroom.toml').absolute()}\n")
    assert 'ignore = ["left-behind[pip]"]\n' in shown
    assert run("check", "--show-files", ".").out == "Dockerfile\n"


def test_ignores_by_file_and_severity_by_rule(run: Run) -> None:
    Path("test").mkdir()
    Path("test/Dockerfile").write_text(DIRTY)
    Path("Dockerfile").write_text(APT)
    Path("cleanroom.toml").write_text(
        'per-file-ignores = { "test/" = ["pip3"] }\nseverity = { left-behind = "error", "left-behind[apt]" = "info" }\n'
    )
    result = run("check", "--format", "concise", ".")
    assert (result.code, result.out.count("\n")) == (0, 1)
    assert ": info: left-behind[apt.lists]" in result.out
    Path("other.Dockerfile").write_text(DIRTY)
    assert ": error: left-behind[pip.cache]" in run("check", "--format", "concise", ".").out


def test_settings_that_extend_others(run: Run) -> None:
    Path(".git").mkdir()
    Path("a").mkdir()
    Path("a/Dockerfile").write_text(DIRTY)
    Path("cleanroom.toml").write_text('ignore = ["pip"]\nfail-on = "info"\n')
    Path("a/cleanroom.toml").write_text('extend = "../cleanroom.toml"\nfail-on = "error"\n')
    assert run("check", "a") == Result(0, "", "No findings in 1 file.\n")
    assert 'fail-on = "error"' in run("check", "--show-settings", "a").out
    Path("cleanroom.toml").write_text('extend = "a/cleanroom.toml"\n')
    assert "extends this file in turn" in run("check", "a").err


def test_a_wrong_rule_in_settings_names_the_file(run: Run) -> None:
    Path("Dockerfile").write_text(DIRTY)
    Path("cleanroom.toml").write_text('ignore = ["left-behnd"]\n')
    place = Path("cleanroom.toml").absolute()
    assert f"{place}: ignore: there is no rule 'left-behnd'; did you mean 'left-behind'?" in run("check", ".").err
    Path("cleanroom.toml").write_text("[tool.cleanroom]\nignore = []\n")
    assert "in this file the keys stand by themselves, without [tool.cleanroom]" in run("check", ".").err


# A stranger's settings.

EVIL = """id: evil
name: evil
summary: stands in for apt
homepage: https://evil.example
replaces: apt
programs:
  - names: [apt-get]
caches:
  - id: lists
    what: lists
    paths:
      - path: /var/lib/apt/lists
    filled_by:
      - verbs: [update]
remedies:
  - kind: clean
    caches: [lists]
    run: curl https://evil.example
sources:
  - https://evil.example/x
"""


def test_settings_never_say_what_query_prints(run: Run) -> None:
    Path("evil.yaml").write_text(EVIL)
    Path("cleanroom.toml").write_text('recipes = ["evil.yaml"]\n')
    Path("Dockerfile").write_text(APT)
    for more in ([], ["--format", "text"]):
        assert run("query", "apt", *more).out == "rm -rf /var/lib/apt/lists/*\n"
    for command in (["check", "."], ["list"], ["check", "--select", "left-behind", "."]):
        result = run(*command)
        assert (result.code, result.out) == (2, "")
        assert "recipes: evil would stand in for apt; only --recipes may name recipes that do" in result.err
    assert run("query", "--recipes", "evil.yaml", "apt-get").out.startswith("curl ")


def test_recipes_of_settings_are_announced(run: Run) -> None:
    Path("zap.yaml").write_text(EVIL.replace("replaces: apt\n", "").replace("evil", "zap").replace("apt-get", "zap"))
    Path("cleanroom.toml").write_text('recipes = ["zap.yaml"]\n')
    Path("Dockerfile").write_text("FROM debian\nRUN zap update\n")
    place = Path("cleanroom.toml").absolute()
    for command in (["check", "."], ["list"]):
        assert f"with the recipes in {place.with_name('zap.yaml')}, as {place} says\n" in run(*command).err


def test_settings_name_no_file_outside(run: Run, tmp_path: Path) -> None:
    Path("in/.git").mkdir(parents=True)
    Path("in/Dockerfile").write_text(DIRTY)
    Path("zap.yaml").write_text(EVIL)
    Path("in/zap.yaml").symlink_to("../zap.yaml")
    for line in (
        'recipes = ["../zap.yaml"]',
        'recipes = ["zap.yaml"]',
        'baseline = "../zap.yaml"',
        'extend = "/dev/zero"',
    ):
        Path("in/cleanroom.toml").write_text(line)
        result = run("check", "in")
        assert result.code == 2, line
        assert f"{tmp_path}/in/cleanroom.toml: " in result.err or "outside of" in result.err, line


# The settings' reference.


def test_the_schema_is_made_from_the_code_and_fits_the_reference() -> None:
    schema = settings_reference.schema()
    assert json.loads((ROOT / "cleanroom/schemas/settings.schema.json").read_text()) == schema
    jsonschema.Draft7Validator.check_schema(schema)
    tomllib = pytest.importorskip("tomllib")
    example = tomllib.loads(settings_reference.reference())["tool"]["cleanroom"]
    jsonschema.validate(example, schema)
    assert set(example) == set(schema["properties"])  # type: ignore[call-overload]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"fail-on": "never"}, schema)


def test_the_docs_show_the_reference(run: Run) -> None:
    assert settings_reference.reference() in next(ROOT.glob("docs/**/settings.md")).read_text()
    assert run("settings").out == settings_reference.reference()
    assert json.loads(run("settings", "--format", "schema").out) == settings_reference.schema()
