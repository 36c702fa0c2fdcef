"""The recipes in other forms: as data that validates, as rules that other linters run, as pages that work."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

import cleanroom
from cleanroom.cli import main
from cleanroom.formats.recipes.matching import Match, matches
from cleanroom.recipes.load import RECIPES
from cleanroom.recipes.model import Typical
from cleanroom.recipes.plain import plain
from cleanroom.registries import EXPORTS, library
from tests.oracles import linters as export_tools
from tests.support import CASE_FILES, ROOT, parse_yaml, program

SCHEMAS = Path(cleanroom.__file__).parent / "schemas"
CASES = [
    file for folder in ("engine", "lint", "lint/rules", "formats") for file in (CASE_FILES / folder).glob("*.yaml")
]


def json_of(typical: Typical) -> dict[str, object]:
    return {key: value for key, value in json.loads(json.dumps(plain(typical))).items() if value not in ("", [])}


def validator(path: Path) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(path.read_text("utf-8")))


def test_the_data_is_what_the_recipes_say() -> None:
    files = {path: json.loads(text) for path, text in EXPORTS["json"].render(library()).items()}
    schema = validator(SCHEMAS / "recipes-1.schema.json")
    recipe_schema = validator(RECIPES / "recipe.schema.json")
    for data in files.values():
        schema.validate(data)
    managers = {manager["id"]: manager for manager in files["recipes.json"]["managers"]}
    recipes = {recipe.id: recipe for recipe in library().recipes()}
    assert managers.keys() == recipes.keys()
    for name, data in managers.items():
        recipe_schema.validate(data)
        said = parse_yaml((RECIPES / f"{name}.yaml").read_text("utf-8"))
        for cache, known in zip(said.get("caches", ()), recipes[name].caches, strict=True):
            if known.typical:  # what was measured stands in for what the recipe says
                cache["typical"] = json_of(known.typical)
        assert data == said
        assert files[f"managers/{name}.json"]["manager"] == data
    assert {row["id"]: row["path"] for row in files["index.json"]["managers"]} == {
        name: f"managers/{name}.json" for name in managers
    }


JAVASCRIPT = """
const { readFileSync } = require("fs");
const [folder, wanted] = process.argv.slice(1);
const read = path => JSON.parse(readFileSync(`${folder}/${path}`, "utf8"));
const entry = read("index.json").managers.find(each => [each.id, ...each.aliases].includes(wanted));
console.log(entry.answer.clean);
"""
JQ = """.managers[] | select(.id == $wanted) | .answer.clean"""


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["node", "jq"])
def test_programs_in_other_languages_can_ask(name: str, tmp_path: Path) -> None:
    """The programs that docs/use/exports.md shows."""
    export_tools.export("json", tmp_path)
    shown = (ROOT / "docs" / "use" / "exports.md").read_text("utf-8")
    assert JAVASCRIPT.strip() in shown
    assert JQ in shown
    if name == "node":
        command = [program("node"), "-e", JAVASCRIPT, str(tmp_path), "pip3"]
    else:
        command = [program("jq"), "-r", "--arg", "wanted", "pip", JQ, str(tmp_path / "index.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "rm -rf ~/.cache/pip\n"


MATCHES = {match.id: match for match in matches(library().recipes())}


def finds(match: Match, run: str) -> bool:
    """Return True if the expressions report this RUN, in the way that every engine uses them."""
    if match.cleaned and re.search(match.cleaned, run):
        return False
    commands = re.finditer(f"{match.before}{match.fills}{match.rest}", run, re.MULTILINE)
    return any(not (match.prevented and re.search(match.prevented, command[0])) for command in commands)


@pytest.mark.parametrize(
    ("cache", "run", "expected"),
    [
        ("apt.lists", "RUN apt-get update && apt-get install -y curl", True),
        ("apt.lists", "RUN set -eux; apt-get -qq update; apt-get install -y curl", True),
        ("apt.lists", "RUN sudo /usr/bin/apt-get update", True),
        (
            "apt.lists",
            "RUN apt-get update \\\n  && apt-get install -y x \\\n  && rm -rf /var/lib/apt/lists/*",
            False,
        ),
        ("apt.lists", "RUN apt-get update && rm -rf /var/lib/apt", False),
        ("apt.lists", "RUN apt-get update && rm -rf /var/lib/*", False),
        ("apt.lists", "RUN apt-get update && rm -rf /var/log/* /tmp/*", True),
        ("apt.lists", "RUN --mount=type=cache,target=/var/lib/apt apt-get update", False),
        ("apt.lists", "RUN --mount=type=secret,id=a apt-get update", True),
        ("apt.lists", "RUN echo apt-get-update", False),
        ("apk.index", "RUN apk add --no-cache --virtual .fetch xz && apk del .fetch", False),
        ("pip.cache", "RUN pip3.12 install flask", True),
        ("pip.cache", "RUN python3 -m pip install flask", True),
        ("pip.cache", "RUN pip install --no-cache-dir flask", False),
        ("pip.cache", "RUN pip install --no-cache-dir flask && pip install x", True),
        ("pip.cache", "RUN pip install flask && rm -rf ~/.cache", False),
        ("pip.cache", "RUN pip install flask && rm -rf /root/.cache/pip", False),
        ("pip.cache", "RUN pip install flask && pip cache purge", False),
        ("pip.cache", "RUN pip --version", False),
        ("pip.cache", "RUN python3 -u /tmp/get-pip.py 'pip<24'", True),
        ("pip.cache", "RUN python3 get-pip.py --no-cache-dir", False),
        ("pip.cache", "RUN pip get-pip.py", False),
        ("pip.cache", "RUN python3 -m get-pip.py", False),
        ("pip.cache", "RUN python3 show.py get-pip.py", False),
        ("pip.cache", "RUN curl -fsSLO https://bootstrap.pypa.io/get-pip.py", False),
        ("npm.cache", "RUN npm ci && npm cache clean --force", False),
        ("npm.cache", "RUN npm ci", True),
    ],
)
def test_expressions(cache: str, run: str, expected: bool) -> None:
    assert finds(MATCHES[cache], run) is expected


def case_files(folder: Path) -> Path:
    """Lay out the Dockerfiles of our own cases that other linters can read at all."""
    texts = {}
    for path in sorted(CASES):
        for number, case in enumerate(parse_yaml(path.read_text("utf-8"))):
            if "recipes" not in case and "recipe" not in case:
                texts[f"{path.stem}_{number}"] = case["dockerfile"]
    return export_tools.lay_out(texts, folder)


# The least that each tool finds of ours in our own cases, which are the hard ones, in per cent.
LEAST = {"semgrep": 40, "rego": 40, "trivy": 40, "checkov": 40}


@pytest.mark.oracle
@pytest.mark.parametrize("tool", export_tools.TOOLS)
def test_rules_run_in_the_real_tool(tool: str, tmp_path: Path) -> None:
    if not export_tools.is_there(tool):
        pytest.skip(f"{tool} is not installed")
    mine, both, _ = export_tools.compare(tool, case_files(tmp_path / "cases"), tmp_path / "rules")
    assert mine > 30
    assert 100 * both / mine >= LEAST[tool]


@pytest.mark.oracle
def test_fixes_of_semgrep_rules_are_ours(tmp_path: Path) -> None:
    """Where an option is the best remedy, and one command of the file wants it."""
    if not export_tools.is_there("semgrep"):
        pytest.skip("semgrep is not installed")
    texts = {
        "apk": "FROM alpine:3.20\nRUN apk add curl\n",
        "apk_options": "FROM alpine:3.20\nRUN set -e; \\\n    apk --quiet add \\\n      curl git\n",
        "pip": "FROM python:3.12\nRUN true && pip install flask && rm -rf /src\n",
        "pip_module": "FROM python:3.12\nRUN python3 -m pip install -r /requirements.txt\n",
    }
    folder = export_tools.lay_out(texts, tmp_path / "files")
    export_tools.semgrep_fixed(folder, tmp_path / "rules")
    for file in folder.iterdir():
        before = texts[file.name.partition(".")[0]]
        after = cleanroom.fix(before).text
        assert after != before
        assert file.read_text("utf-8") == after


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.resources: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "href"):
                self.resources.append(value or "")


def test_pages_link_to_each_other_and_ask_for_nothing_outside() -> None:
    pages = EXPORTS["html"].render(library())
    assert len(pages) == len(library().recipes()) + 1
    for path, text in pages.items():
        parser = Links()
        parser.feed(text)
        assert not parser.resources
        for link in parser.links:
            if not link.startswith("https://") and not link.startswith("http://"):
                target = (Path("/") / path).parent / link
                assert str(target.resolve()).lstrip("/") in pages, link
    names = re.findall(r'<tr data-words="[^"]*"><td><a [^>]*>([^<]*)</a>', pages["index.html"])
    assert names == sorted(names, key=lambda name: name.lower().lstrip("."))
    assert len(names) == len(library().recipes())
    assert "rm -rf /var/lib/apt/lists/*" in pages["index.html"]
    assert "&lt;--cache-dir&gt;" in pages["managers/pip.html"]


def test_markdown_pages_hold_every_hazard_with_its_source() -> None:
    pages = EXPORTS["markdown"].render(library())
    for recipe in library().recipes():
        page = pages[f"managers/{recipe.id}.md"]
        for hazard in recipe.hazards:
            assert hazard.source in page
        assert f"managers/{recipe.id}.md" in pages["index.md"]


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--list"]) == 0
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == list(EXPORTS)
    for name in EXPORTS:
        assert main(["export", name, "-o", str(tmp_path / name)]) == 0
        capfd.readouterr()
        written = {
            file.relative_to(tmp_path / name).as_posix(): file.read_text("utf-8")
            for file in (tmp_path / name).rglob("*")
            if file.is_file()
        }
        assert written == dict(EXPORTS[name].render(library()))
    assert main(["export", "semgrep"]) == 0
    assert capfd.readouterr().out == (tmp_path / "semgrep" / "cleanroom.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jsn"], "no format 'jsn'; did you mean 'json'?"),
        ([], "name a FORMAT: json"),
        (["html"], "name a folder for them with -o DIR"),
        (["table", "-o", "/dev/null"], "/dev/null: file exists"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 2
    assert message in capfd.readouterr().err
