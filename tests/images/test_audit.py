"""What an audit says of images made by hand, whose bytes are known."""

from __future__ import annotations

import gzip
import json
import lzma
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cleanroom.cli import main
from cleanroom.images.audit import Audit, Leftover, audit
from cleanroom.images.base import below
from cleanroom.images.image import ImageError
from cleanroom.images.sources import open_image
from cleanroom.registries import FORMATS, library
from tests.support import CASE_FILES, parse_yaml, program
from tests.support.images import Layout, archive, config, dir_transport, docker_save, gzipped, layer, oci, sha, zstd

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted((CASE_FILES / "images").glob("*.yaml"))
    for case in parse_yaml(path.read_text("utf-8").replace("\\udcff\\udcfe", "\\xff\\xfe"))
]


def run(reference: str, **options: object) -> Audit:
    with open_image(reference) as image:
        return audit(image, library=library(), **options).audit  # type: ignore[arg-type]


def line(item: Leftover) -> str:
    text = f"{item.layer} {item.manager}.{item.cache} {item.bytes} in {item.files}"
    text += f", linked {item.linked}" if item.linked else ""
    return text + (f", removed in {item.removed_in}" if item.removed_in else "")


@pytest.mark.parametrize("case", CASES)
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    layers = [
        layer(entries) if isinstance(entries, dict) else b"".join(layer(part)[:1024] for part in entries) + bytes(1024)
        for entries in case["layers"]
    ]
    reference = oci(tmp_path / "image", layers, config(layers, case.get("history"), **case.get("config", {})))
    found = run(reference)
    assert [line(item) for item in found.leftovers] == case["expect"]
    assert found.waste == sum(item.bytes for item in found.leftovers)


HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD file:0 in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["bash"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit", "created": "2026-01-01"},
    {"created_by": "RUN /bin/sh -c rm -rf /var/lib/apt/lists/* # buildkit"},
]
LAYERS = [
    layer({"etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n', "usr/bin/x": 50_000}),
    layer({"var/lib/apt/lists/a": 100_000, "usr/bin/curl": 30_000}),
    layer({"var/lib/apt/lists/.wh.a": 0}),
]
CONFIG = config(LAYERS, HISTORY, Env=["PATH=/usr/bin"])


def members_apart(data: bytes) -> bytes:
    """Return gzip members one after the other, as eStargz has them, and padding."""
    return b"".join(gzipped(data[i : i + 700]) for i in range(0, len(data), 700)) + bytes(512)


def write(form: str, folder: Path) -> str:
    target = folder / "image"
    if form == "oci, zstd":
        return oci(target, LAYERS, CONFIG, zstd)
    if form == "oci, plain":
        return oci(target, LAYERS, CONFIG, lambda data: data)
    if form == "oci, gzip members":
        return oci(target, LAYERS, CONFIG, members_apart)
    if form == "oci archive":
        return archive(oci(target, LAYERS, CONFIG), folder / "image.tar")
    if form == "oci archive, gzip":
        return archive(oci(target, LAYERS, CONFIG), folder / "image.tar.gz", "w:gz")
    if form == "docker save":
        return docker_save(folder / "image.tar", LAYERS, CONFIG, old=False)
    if form == "docker save, old":
        return docker_save(folder / "image.tar", LAYERS, CONFIG)
    if form == "docker save, xz":
        return docker_save(folder / "image.tar.xz", LAYERS, CONFIG, "w:xz")
    if form == "docker save, layers in gzip":
        packed = [gzipped(data) for data in LAYERS]
        return docker_save(folder / "image.tar", packed, CONFIG)
    if form == "dir":
        return dir_transport(target, LAYERS, CONFIG)
    return oci(target, LAYERS, CONFIG)


@pytest.mark.parametrize(
    "form",
    [
        *("oci", "oci, zstd", "oci, plain", "oci, gzip members", "oci archive", "oci archive, gzip", "dir"),
        *("docker save", "docker save, old", "docker save, xz", "docker save, layers in gzip"),
    ],
)
def test_every_format_tells_the_same(form: str, tmp_path: Path) -> None:
    found = run(write(form, tmp_path))
    assert [line(item) for item in found.leftovers] == ["2 apt.lists 100000 in 1, removed in 3"]
    assert [item.bytes for item in found.layers] == [50_000 + 50, 130_000, 0]
    assert [item.is_base for item in found.layers] == [True, False, False]
    assert found.layers[1].instruction == "RUN apt-get update && apt-get install -y curl"
    assert found.system == "Debian 12"
    assert found.platform == "linux/amd64"
    assert found.leftovers[0].expected == "left"
    assert found.leftovers[0].remedies[0].text == "rm -rf /var/lib/apt/lists/*"
    assert found.hidden == 100_000


@pytest.mark.parametrize("form", ["folder", "tar", "tar.gz", "tar.xz", "tar.zst"])
def test_root_file_systems(form: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name, size in {"root/.cache/pip/a": 100, "usr/lib/x": 50, "proc/1/x": 7, "opt/.wh.x": 3}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(size))
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("app:x:1:1::/srv/app:/bin/sh\n")
    (root / "srv/app/.cache").mkdir(parents=True)
    (root / "srv/app/.cache/pip").symlink_to("/root/.cache/pip")  # of the image, not of this machine
    (root / "root/.cache/pip/b").hardlink_to(root / "usr/lib/x")
    reference = str(root)
    if form != "folder":
        plain = archive(reference, tmp_path / "root.tar")
        data = Path(plain).read_bytes()
        if form == "tar.zst":
            Path(plain + ".zst").write_bytes(zstd(data))
        elif form != "tar":
            Path(plain + form[3:]).write_bytes((gzip if form == "tar.gz" else lzma).compress(data))
        reference = plain + form[3:]
    found = run(reference)
    assert [line(item) for item in found.leftovers] == ["1 pip.cache 100 in 2, linked 50"]
    assert found.kind == "rootfs"
    assert found.bytes == 100 + 50 + 7 + 3 + 28


def test_links_out_of_a_root_file_system_count(tmp_path: Path) -> None:
    (tmp_path / "root/root/.cache/pip").mkdir(parents=True)
    (tmp_path / "outside").write_bytes(bytes(9))
    (tmp_path / "root/root/.cache/pip/a").hardlink_to(tmp_path / "outside")
    assert [line(item) for item in run(str(tmp_path / "root")).leftovers] == ["1 pip.cache 0 in 1, linked 9"]


def test_an_index_in_an_index_and_its_platforms(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    manifests = []
    for architecture, size in (("amd64", 1), ("arm64", 20), ("arm/v7", 300)):
        layers = [layer({"root/.cache/pip/a": size})]
        system, _, variant = architecture.partition("/")
        place = {"os": "linux", "architecture": system, **({"variant": variant} if variant else {})}
        manifests.append(layout.manifest(layers, config(layers, platform=f"linux/{architecture}"), platform=place))
    attestation = layout.manifest([layer({"x": 1})], config([]), platform={"os": "unknown", "architecture": "unknown"})
    itself = layout.nested([*manifests, attestation])
    reference = layout.index(layout.nested([itself, itself], annotations={"org.opencontainers.image.ref.name": "1"}))
    for platform, size in (("linux/amd64", 1), ("arm64", 20), ("linux/arm/v7", 300), ("linux/arm", 300)):
        with open_image(reference, platform=platform) as image:
            assert audit(image, library=library()).audit.waste == size
    with pytest.raises(ImageError, match=r"no image for linux/s390x \(it has: linux/amd64, linux/arm/v7, linux/arm64"):
        run_for(reference, "linux/s390x")


def run_for(reference: str, platform: str) -> Audit:
    with open_image(reference, platform=platform) as image:
        return audit(image, library=library()).audit


def test_several_images_in_one_layout(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    manifests = []
    for tag, size in (("web:1", 1), ("web:2", 20)):
        layers = [layer({"root/.cache/pip/a": size})]
        annotations = {"org.opencontainers.image.ref.name": tag}
        manifests.append(layout.manifest(layers, config(layers), annotations=annotations))
    reference = layout.index(*manifests)
    with pytest.raises(ImageError, match=r"several images \(there are: web:1, web:2\)"):
        run(reference)
    assert run(f"oci:{reference}:web:2").waste == 20
    with pytest.raises(ImageError, match="no image 'web:3'"):
        run(f"oci:{reference}:web:3")


def test_base_by_its_layers(tmp_path: Path) -> None:
    reference = oci(tmp_path / "image", LAYERS, CONFIG)
    with open_image(reference) as image:
        found = run(reference, base=below(image, "web", [sha(LAYERS[0]), sha(LAYERS[1])]))
        with pytest.raises(ImageError, match="not built on"):
            below(image, "web", [sha(LAYERS[1])])
    assert [item.is_base for item in found.layers] == [True, True, False]
    assert (found.base_from, found.own_waste, found.waste) == ("option", 0, 100_000)


def test_stored_bytes_are_those_of_the_stream(tmp_path: Path) -> None:
    noise = Random(1).randbytes(3_000_000)
    layers = [layer({"usr/x": 3_000_000, "root/.cache/pip/a": noise.hex(), "usr/y": 2_000_000})]
    found = run(oci(tmp_path / "image", layers, config(layers)))
    alone = len(gzipped(noise.hex().encode()))
    assert found.waste == 6_000_000
    assert abs(found.waste_stored - alone) < 2 * 65_536
    plain = run(oci(tmp_path / "plain", layers, config(layers), lambda data: data))
    assert plain.waste_stored == 512 + 6_000_000 + -6_000_000 % 512


def alternating(cache: int, other: int, count: int, squeeze: int) -> bytes:
    """A layer in which files of a cache alternate with files of something else; of the others, few compress."""
    chance = Random(2)
    entries: dict[str, int | str] = {}
    for index in range(count):
        entries[f"opt/conda/pkgs/p{index}/x"] = chance.randbytes(cache // 2).hex()[: cache // squeeze] * squeeze
        entries[f"opt/conda/lib/p{index}"] = chance.randbytes(other // 2).hex()
    return layer(entries)


@pytest.mark.parametrize(
    ("cache", "other", "count", "squeeze"),
    [
        (1500, 30_000, 500, 30),
        (30_000, 1500, 300, 1),
        (700, 700, 3000, 1),
        (100_000, 100_000, 50, 4),
        (9, 400, 9000, 1),
    ],
)
def test_what_is_pulled_where_files_alternate(
    cache: int, other: int, count: int, squeeze: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = alternating(cache, other, count, squeeze)
    found = run(oci(tmp_path / "image", [data], config([data]))).leftovers
    assert [item.cache for item in found] == ["packages"]
    # What the layer would weigh less without them.
    without = gzipped(layer({f"opt/conda/lib/p{index}": "" for index in range(count)}))
    alone = gzipped(alternating(cache, 0, count, squeeze))
    truth = len(alone) - len(without)
    assert abs(found[0].stored - truth) <= max(130_000, truth * 0.05), truth
    low, high = found[0].stored_between
    assert low <= found[0].stored <= high
    assert high - low <= max(130_000, found[0].stored * 0.05)
    # zstd tells no more than its blocks: what is not sure is said to be between two numbers.
    reference = oci(tmp_path / "zstd", [data], config([data]), zstd)
    (packed,) = run(reference).leftovers
    alone_in_zstd = len(zstd(alternating(cache, 0, count, squeeze))) - len(zstd(layer({"x": 0})))
    low, high = packed.stored_between
    assert low - 130_000 <= alone_in_zstd <= high + 130_000
    if high - low > max(130_000, packed.stored // 20):
        assert re.search(r"(bytes|[kM]B) to [\d.]+ [kM]B to pull", cleanroom_audit(reference, capsys=capsys)[1])


def cleanroom_audit(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(["audit", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    docker_save(tmp_path / "image.tar", LAYERS, CONFIG)
    monkeypatch.chdir(tmp_path)
    code, out, err = cleanroom_audit("image.tar", capsys=capsys)
    assert (code, err) == (0, "")
    assert out == EXPECTED


EXPECTED = """\
image.tar
  linux/amd64, Debian 12, 180 kB in 3 layers
  layer 1 is the base image (by its history): 50 kB

100 kB of it is left by package managers, 56 %; without: 80 kB

  apt  ████████████████████████    100 kB    56 %  lists 100 kB

Layer 2, 100 kB of 130 kB  RUN apt-get update && apt-get install -y curl
  apt.lists    100 kB  1 file: /var/lib/apt/lists
                       layer 3 removes it, too late: the bytes ship with layer 2
  → add at the end of this RUN: rm -rf /var/lib/apt/lists/*
"""


def test_json_is_as_its_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((files("cleanroom") / "schemas/audit-1.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    for reference in (oci(tmp_path / "image", LAYERS, CONFIG), f"rootfs:{tmp_path}"):
        code, out, _ = cleanroom_audit(reference, "--format", "json", capsys=capsys)
        assert code == 0
        document = json.loads(out)
        Draft202012Validator(schema).validate(document)
    # Every field is described, those of layers and leftovers too.
    document = json.loads(cleanroom_audit(str(tmp_path / "image"), "--format", "json", capsys=capsys)[1])
    image = schema["$defs"]["image"]["properties"]
    assert set(document["image"]) == set(image)
    assert set(document["image"]["layers"][0]) == set(schema["$defs"]["layer"]["properties"])
    assert set(document["image"]["leftovers"][0]) == set(schema["$defs"]["leftover"]["properties"])


@pytest.mark.parametrize(
    ("limit", "code"),
    [("100kB", 0), ("99 kB", 1), ("99999", 1), ("0.1MB", 0), ("97KiB", 1), ("98kib", 0), ("55%", 1), ("56 %", 0)],
)
def test_most_waste(limit: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = oci(tmp_path / "image", LAYERS, CONFIG)
    found, _, err = cleanroom_audit(reference, "--max-waste", limit, capsys=capsys)
    assert found == code
    assert err == ("" if code == 0 else f"100 kB of caches, more than --max-waste {limit}\n")
    base = oci(tmp_path / "base", LAYERS[:2], config(LAYERS[:2]))
    assert cleanroom_audit(reference, "--base", base, "--max-waste", limit, capsys=capsys)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such.tar"], "no/such.tar: there is no such file"),
        (["no-such-image-of-anyone"], "no-such-image-of-anyone"),
        (["-x!"], "no such option"),
        (["image", "--max-waste", "lots"], "'lots' is no size"),
        (["image", "--base", "no/such.tar"], "no/such.tar: there is no such file"),
        (["image", "--platform", "linux/s390x"], "no image for linux/s390x (it has: linux/amd64)"),
        (["empty.tar"], "empty.tar: is empty"),
        (["text.tar"], "text.tar: this is no tar archive"),
    ],
)
def test_troubles(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    oci(tmp_path / "image", LAYERS, CONFIG)
    Path("empty.tar").touch()
    Path("text.tar").write_text("hello\n" * 200)
    code, out, err = cleanroom_audit(*arguments, capsys=capsys)
    assert (code, out) == (2, "")
    assert message.lower() in err.lower()
    assert "Traceback" not in err


def test_zstd_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = oci(tmp_path / "image", LAYERS, CONFIG, zstd)
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImageError, match=r"pip install 'cleanroom-recipes\[audit\]'"):
        run(reference)


def test_a_page_without_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = oci(tmp_path / "image", LAYERS, CONFIG)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for arguments in (["audit", reference, "--format", "html"], ["export", "html", "-o", str(tmp_path / "site")]):
        assert main(arguments) == 2
        assert "pip install 'cleanroom-recipes[html]'" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


BUILT = """\
FROM debian:12
RUN apt-get update && \\
    apt-get install -y curl
RUN rm -rf /var/lib/apt/lists/*
COPY . /app
RUN pip install flask
RUN ./setup.sh
RUN pip install --no-cache-dir django
RUN npm ci
"""
BUILT_LAYERS = [
    layer({"usr/bin/x": 50_000, "var/lib/apt/lists/old": 11_000}),
    layer({"var/lib/apt/lists/a": 100_000}),
    layer({"var/lib/apt/lists/.wh.a": 0}),
    layer({"app/x": 5, "root/.cache/pip/c": 13_000}),
    layer({"root/.cache/pip/a": 20_000}),
    layer({"root/.npm/_cacache/a": 30_000}),
    layer({"root/.cache/pip/b": 40_000}),
    layer({"app/node_modules/x": 1}),
]
BUILT_HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD file:0 in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["bash"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apt-get update &&     apt-get install -y curl # buildkit"},
    {"created_by": "RUN /bin/sh -c rm -rf /var/lib/apt/lists/* # buildkit"},
    {"created_by": "COPY . /app # buildkit"},
    {"created_by": "RUN /bin/sh -c pip install flask # buildkit"},
    {"created_by": "RUN /bin/sh -c ./setup.sh # buildkit"},
    {"created_by": "RUN /bin/sh -c pip install --no-cache-dir django # buildkit"},
    {"created_by": "RUN /bin/sh -c npm ci # buildkit"},
]


def built(folder: Path) -> tuple[str, str]:
    reference = docker_save(folder / "image.tar", BUILT_LAYERS, config(BUILT_LAYERS, BUILT_HISTORY))
    (folder / "Dockerfile").write_text(BUILT)
    return reference, str(folder / "Dockerfile")


def test_beside_its_dockerfile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, file = built(tmp_path)
    code, out, _ = cleanroom_audit(reference, "--dockerfile", file, "--format", "json", capsys=capsys)
    assert code == 0
    document = json.loads(out)
    schema = json.loads((files("cleanroom") / "schemas/audit-1.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(document)
    leftovers = document["image"]["leftovers"]
    causes = {
        (leftovers[cause["leftover"]]["layer"], leftovers[cause["leftover"]]["manager"]): (
            cause["line"],
            cause["finding"]["rule"] if cause["finding"] else cause["reason"],
        )
        for cause in document["dockerfile"]["causes"]
    }
    assert causes == {
        (1, "apt"): (None, "the base image brought it"),
        (2, "apt"): (2, "cleaned-late"),
        (4, "pip"): (5, "it was copied in"),
        (5, "pip"): (6, "left-behind"),
        (6, "npm"): (7, "the script ./setup.sh could not be seen"),
        (7, "pip"): (
            8,
            "the check takes it as kept from being written by --no-cache-dir, and the image proves it wrong",
        ),
    }
    assert [(item["finding"]["line"], item["finding"]["manager"]) for item in document["dockerfile"]["unborne"]] == [
        (9, "npm")
    ]
    assert document["image"]["base"] == {"layers": 1, "name": "", "from": "dockerfile"}
    _, text, _ = cleanroom_audit(reference, "--dockerfile", file, capsys=capsys)
    assert f"{file}:6:5: left-behind" in " ".join(text.split())
    assert "npm.cache]: the layer of this instruction holds no such bytes" in " ".join(text.split())


def test_a_dockerfile_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, file = built(tmp_path)
    for arguments, message in (
        (["--dockerfile", f"{tmp_path}/none"], f"{tmp_path}/none: "),
        (["--dockerfile", file, "--target", "none"], "no stage 'none'"),
        (["--target", "x"], "go with --dockerfile"),
    ):
        code, out, err = cleanroom_audit(reference, *arguments, capsys=capsys)
        assert (code, out) == (2, "")
        assert message in err
    (tmp_path / "Dockerfile").write_text("FROM a\nRUN <<EOF\n")
    assert f"{file}:2:" in cleanroom_audit(reference, "--dockerfile", file, capsys=capsys)[2]


@pytest.mark.parametrize("with_file", [True, False])
def test_in_every_format_of_findings(with_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, file = built(tmp_path)
    more = ["--dockerfile", file] if with_file else []
    for form in FORMATS:
        code, out, err = cleanroom_audit(reference, *more, "--format", form, capsys=capsys)
        assert (code, err) == (0, "")
        assert out
    sarif = json.loads(cleanroom_audit(reference, *more, "--format", "sarif", capsys=capsys)[1])
    found = [
        (item["ruleId"], item["level"], item["locations"][0]["physicalLocation"]["region"]["startLine"])
        for item in sarif["runs"][0]["results"]
    ]
    # In the Dockerfile, or in the history, which has a line for each layer.
    assert ("cleaned-late", "warning", 2) in found
    assert (("left-behind", "warning", 6) if with_file else ("left-behind", "warning", 5)) in found
    assert len(found) == 6


def test_beside_another_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = docker_save(tmp_path / "one.tar", LAYERS, CONFIG)
    two = docker_save(tmp_path / "two.tar", LAYERS[:1], config(LAYERS[:1]))
    _, out, _ = cleanroom_audit(one, "--compare", two, capsys=capsys)
    table = [line.split() for line in out.splitlines()[-5:]]
    assert table[1:] == [
        ["all", "files", "180", "kB", "50", "kB", "−130", "kB"],  # noqa: RUF001
        ["caches", "100", "kB", "0", "bytes", "−100", "kB"],  # noqa: RUF001
        ["apt.lists", "100", "kB", "0", "bytes", "−100", "kB"],  # noqa: RUF001
        ["without", "caches", "80", "kB", "50", "kB", "−30", "kB"],  # noqa: RUF001
    ]
    document = json.loads(cleanroom_audit(one, "--compare", two, "--format", "json", capsys=capsys)[1])
    assert (document["image"]["bytes"], document["other"]["bytes"]) == (180_050, 50_050)
    page = cleanroom_audit(one, "--compare", two, "--format", "html", capsys=capsys)[1]
    assert '<td>all files<td class="n"' in page
    assert '<td class="in">apt.lists<td class="n"' in page
    comment = cleanroom_audit(one, "--compare", two, "--format", "markdown", capsys=capsys)[1]
    assert re.search(r"^\| apt\\?\.lists \| .+ \| .+ \| .+ \|$", comment, re.MULTILINE)
    code, _, complaint = cleanroom_audit(one, "--compare", two, "--format", "sarif", capsys=capsys)
    assert code == 2
    assert "sarif has no place for what is no finding" in complaint


class Page(HTMLParser):
    """The boxes of the treemap, and what is in tables; whatever loads or runs something is refused."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.boxes: list[tuple[str, dict[str, float], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe", "object", "base", "form")
        values = dict(attrs)
        assert not {"src", "href", "onload", "onerror"} & set(values)
        if tag == "div" and values.get("class") != "map":
            style = dict(re.findall(r"(left|top|width|height):([\d.]+)%", values["style"] or ""))
            box = {name: float(value) for name, value in style.items()}
            self.boxes.append((values["class"] or "", box, values["title"] or ""))


def test_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference, file = built(tmp_path)
    _, out, _ = cleanroom_audit(reference, "--dockerfile", file, "--format", "html", capsys=capsys)
    page = Page(out)
    layers = [box for kind, box, _ in page.boxes if kind in ("layer", "base")]
    assert len(layers) == 7
    # Areas are as the weights: of all layers together the whole map, of one its share.
    areas = [box["width"] * box["height"] / 10_000 for box in layers]
    assert abs(sum(areas) - 1) < 0.01
    assert abs(max(areas) - 100_000 / 264_006) < 0.01
    caches = [title for kind, _, title in page.boxes if kind in ("cache", "late")]
    assert any("apt.lists: 100 kB, removed in layer 3, too late" in title for title in caches)
    assert len(caches) == 6


def test_page_of_an_image_that_wants_to_be_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    layers = [layer({f"root/.cache/pip/{evil}": 30_000, f"{evil}/x": 40_000, "var/cache/apt/<b>.bin": 50_000})]
    history = [{"created_by": f"RUN /bin/sh -c {evil} \x1b[31m"}]
    reference = docker_save(tmp_path / "image.tar", layers, config(layers, history, platform=f"{evil}/x"))
    for form in ("html", "text", "markdown"):
        _, out, _ = cleanroom_audit(reference, "--format", form, capsys=capsys)
        assert "\x1b" not in out
        if form == "html":
            assert len(Page(out).boxes) > 3


@pytest.mark.oracle
def test_what_dive_says_of_removed_and_replaced_files(tmp_path: Path) -> None:
    layers = [
        layer({"a/": None, "a/removed": 7_000, "b/": None, "b/replaced": 50_000, "var/lib/apt/lists/x": 900_000}),
        layer({"a/.wh.removed": 0, "b/": None, "b/replaced": 60_000}),
        layer({"c/": None, "c/d/": None, "c/d/x": 3000, "e/": None, "e/x": 400}),
        layer({"c/": None, "c/.wh.d": 0, "e/": None, "e/.wh..wh..opq": 0}),
    ]
    history = [{"created_by": f"RUN {number}"} for number in range(len(layers))]
    reference = docker_save(tmp_path / "image.tar", layers, config(layers, history))
    target = tmp_path / "dive.json"
    command = [program("dive"), "--source", "docker-archive", reference, "--json", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    wasted = {item["file"]: item["sizeBytes"] for item in json.loads(target.read_text())["image"]["fileReference"]}
    found = run(reference)
    # Of a file that is removed, both count its bytes. Of one that is replaced, dive counts all copies, and this the one
    # that no one sees. Of a folder that is removed or made opaque, and of a cache that stays, dive says nothing.
    assert wasted == {"/a/removed": 7_000, "/b/replaced": 110_000}
    assert found.hidden == 57_000 + 3000 + 400
    assert found.waste == 900_000
