"""What an image carries beside caches, to the byte, and what it could weigh."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from cleanroom.api import check
from cleanroom.cli import main
from cleanroom.images import outlook, packages, waste
from cleanroom.images.audit import Reading, audit
from cleanroom.images.causes import Tied
from cleanroom.images.image import DEFAULT
from cleanroom.images.sources import open_image
from cleanroom.images.waste import Waste
from cleanroom.recipes.model import FOLDER
from cleanroom.registries import library
from tests.support.images import archive, config, docker_save, layer, oci

STATUS = """\
Package: base
Status: install ok installed
Architecture: amd64
Depends: libc6 (>= 2.3)

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same

Package: git
Status: install ok installed
Architecture: amd64
Depends: perl:any | perl-ng, libcurl3 (>= 7)
Recommends: less, ssh-client
Description: a
 long one

Package: perl
Status: install ok installed
Architecture: amd64

Package: libcurl3-gnutls
Status: install ok installed
Architecture: amd64
Provides: libcurl3 (= 8)

Package: less
Status: install ok installed
Architecture: amd64
Depends: liblesser

Package: liblesser
Status: install ok installed
Architecture: amd64

Package: openssh-client
Status: install ok installed
Architecture: amd64
Provides: ssh-client

Package: orphan
Status: install ok installed
Architecture: amd64

Package: gone
Status: deinstall ok config-files
Architecture: amd64
"""
AUTOMATIC = "\n\n".join(
    f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1"
    for name in ("libc6", "perl", "libcurl3-gnutls", "less", "liblesser", "openssh-client", "orphan")
)


def weigh(reference: str) -> tuple[Reading, Waste]:
    with open_image(reference) as image:
        reading = audit(image, library=library(), keep=waste.WANTED)
        return reading, waste.weigh(reading, DEFAULT)


def sums(found: Waste) -> dict[str, int]:
    return {extra.kind.id: extra.bytes for extra in found.extras}


def test_the_kinds_are_as_their_schema_says() -> None:
    folder = Path(FOLDER) / "images"
    schema = json.loads((folder / "waste.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    text = (folder / "waste.yaml").read_text("utf-8")
    Draft202012Validator(schema).validate(yaml.safe_load(text))
    found = waste.kinds()
    assert len({kind.id for kind in found}) == len(found)
    for kind in found:
        for recipe, option in kind.lean.items():
            assert option in {lean.id for lean in library().find(recipe).lean}


def test_only_recommended() -> None:
    found = packages.only_recommended(packages.installed(STATUS), AUTOMATIC)
    assert [package.name for package in found] == ["less", "liblesser", "openssh-client"]
    assert packages.only_recommended(packages.installed(STATUS), "") == []
    assert packages.only_recommended({}, AUTOMATIC) == []


@pytest.mark.parametrize("lock", [b"", b"[]", b"{}", b'{"packages": 5}', b'{"packages": {"a": 5}}', b"[" * 100_000])
def test_locks_that_are_none(lock: bytes) -> None:
    assert list(packages.development(lock)) == []


ENTRIES: list[dict[str, object]] = [
    {
        "usr/share/doc/base/README": 100,
        "usr/share/doc/base/copyright": 7,
        "usr/share/man/man1/x.1.gz": 10,
        "etc/passwd": "app:x:1:1::/srv/app:/bin/sh\n",
        "var/lib/dpkg/status": STATUS,
        "var/lib/apt/extended_states": AUTOMATIC,
        "var/lib/dpkg/info/less.list": "/.\n/usr\n/bin/less\n/usr/share/doc/less/README\n/none\n",
        "var/lib/dpkg/info/liblesser:amd64.list": "/usr/lib/liblesser.so\n",
        "bin": "-> usr/bin",
        "usr/bin/less": 3000,
        "usr/share/doc/less/README": 400,
        "usr/lib/liblesser.so": 50_000,
    },
    {
        "app/node_modules/.package-lock.json": json.dumps(
            {"packages": {"node_modules/jest": {"dev": True}, "node_modules/x": {}, "../../usr": {"dev": True}}}
        ),
        "app/node_modules/jest/index.js": 20_000,
        "app/node_modules/jest/node_modules/y/index.js": 1000,
        "app/node_modules/x/index.js": 5,
        "app/node_modules/.cache/babel/a": 600,
        "app/.git/objects/pack/a": 70_000,
        "app/x/.git/HEAD": 8,
        "usr/lib/python3/a/__pycache__/a.pyc": 900,
        "srv/app/x.deb": 11,
        "tmp/x.tar.gz": 30,
        "tmp/y": 2,
        "var/log/dpkg.log": 4,
        "root/.cache/pip/x.tar.gz": 99,  # a cache, and no archive
        "root/linked.zip": 44,
        "usr/keep": "=> root/linked.zip",  # has another name, and stays
    },
]


def test_every_kind_to_the_byte(tmp_path: Path) -> None:
    layers = [layer(item) for item in ENTRIES]  # type: ignore[arg-type]
    reading, found = weigh(oci(tmp_path / "image", layers, config(layers)))
    expected = {
        "recommended-packages": 53_400,
        "development-dependencies": 21_000,
        "documentation": 100,
        "manuals": 10,
        "build-caches": 600,
        "version-control": 70_008,
        "byte-code": 900,
        "packages": 11,
        "archives": 30,
        "temporary": 2,
        "logs": 4,
    }
    assert sums(found) == expected
    assert reading.audit.waste == 99
    paths = {path: size for extra in found.extras for path, size in extra.paths}
    assert paths["/app/.git"] == 70_000
    assert paths["/tmp/*.t*z*"] == 30
    assert paths["/srv/app/*.deb"] == 11
    # A root file system tells the same.
    root = tmp_path / "root"
    for entries in ENTRIES:
        for name, what in entries.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, int):
                path.write_bytes(bytes(what))
            elif str(what).startswith("-> "):
                path.symlink_to(str(what)[3:])
            elif str(what).startswith("=> "):
                path.hardlink_to(root / str(what)[3:])
            else:
                path.write_text(str(what))
    assert sums(weigh(str(root))[1]) == expected
    assert sums(weigh(archive(str(root), tmp_path / "root.tar"))[1]) == expected


def test_hidden_files_and_copies(tmp_path: Path) -> None:
    text = "x" * 9000
    entries: list[dict[str, object]] = [
        {"usr/a": text, "usr/b": 50_000, "usr/same": text, "usr/other": "y" * 9000, "root/.cache/pip/a": 7000},
        {"usr/a": text, "usr/.wh.b": 0, "root/.cache/.wh.pip": 0, "etc/small": "x", "etc/small2": "x"},
        {"srv/c": text},
    ]
    layers = [layer(item) for item in entries]  # type: ignore[arg-type]
    for reference in (
        oci(tmp_path / "image", layers, config(layers)),
        docker_save(tmp_path / "image.tar", layers, config(layers)),
    ):
        _, found = weigh(reference)
        assert [(item.path, item.bytes, item.layer, item.removed_in) for item in found.hidden] == [
            ("/usr/b", 50_000, 1, 2),
            ("/usr/a", 9000, 1, 2),
        ]
        (copies,) = found.copies
        assert (copies.bytes, copies.waste) == (9000, 27_000)
        assert sorted(copies.places) == [(1, "/usr/a"), (1, "/usr/same"), (2, "/usr/a"), (3, "/srv/c")]


DOCKERFILE = """\
FROM debian:12
RUN apt-get update && apt-get install -y less
RUN pip install flask
"""
HISTORY = [
    {"created_by": "/bin/sh -c #(nop) ADD file:0 in / "},
    {"created_by": '/bin/sh -c #(nop)  CMD ["bash"]', "empty_layer": True},
    {"created_by": "RUN /bin/sh -c apt-get update && apt-get install -y less # buildkit"},
    {"created_by": "RUN /bin/sh -c pip install flask # buildkit"},
]
BUILT = [
    layer({"etc/os-release": "ID=debian\nVERSION_ID=12\n", "usr/share/doc/base/x": 100_000}),
    layer({**ENTRIES[0], "var/lib/apt/lists/a": 200_000}),  # type: ignore[dict-item]
    layer({"root/.cache/pip/a": 30_000, "usr/lib/python3/__pycache__/flask.pyc": 10_000, "usr/x": 1}),
]


def test_the_image_that_could_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = docker_save(tmp_path / "image.tar", BUILT, config(BUILT, HISTORY))
    reading, found = weigh(reference)
    could = outlook.look(reading.audit, found, None)
    assert could.fixed == reading.audit.bytes - 230_000
    assert could.least == could.fixed - 53_400 - 100 - 10_000  # nothing of the base
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE)
    assert main(["audit", reference, "--all", "--dockerfile", str(file), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    schema = json.loads((files("cleanroom") / "schemas/audit-1.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(document)
    assert {item["what"]: (item["bytes"], item["line"]) for item in document["could_be"]["fixes"]} == {
        "apt.lists": (200_000, 2),
        "pip.cache": (30_000, 3),
    }
    assert {item["what"]: (item["bytes"], item["line"]) for item in document["could_be"]["lean"]} == {
        "recommended-packages": (53_400, 2),
        "documentation": (100, 2),
        "byte-code": (10_000, 3),
    }
    # A Dockerfile that asks for no more than it must has nothing to leave out.
    file.write_text(DOCKERFILE.replace("install -y", "install -y --no-install-recommends"))
    assert main(["audit", reference, "--all", "--dockerfile", str(file), "--format", "json"]) == 0
    lean = json.loads(capsys.readouterr().out)["could_be"]["lean"]
    assert "recommended-packages" not in {item["what"] for item in lean}


def test_all_as_text_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    layers = [*BUILT, layer({f"app/{evil}/.git/x": 5000, f"tmp/{evil}.deb": 5000, "usr/.wh.x": 0})]
    reference = docker_save(tmp_path / "image.tar", layers, config(layers, [*HISTORY, {"created_by": "COPY . ."}]))
    assert main(["audit", reference, "--all"]) == 0
    out = capsys.readouterr().out
    assert "The image that could be: " in out
    assert "recommended-packages" in out
    assert "\x1b" not in out
    assert "There more than once, 5.0 kB" in out
    assert main(["audit", reference, "--all", "--format", "html"]) == 0
    page = capsys.readouterr().out
    assert "<script" not in page
    assert "\x1b" not in page
    assert "The image that could be" in page
    assert main(["audit", reference, "--all", "--format", "sarif"]) == 2
    assert "--all goes with" in capsys.readouterr().err
    assert main(["audit", reference]) == 0
    assert "could be" not in capsys.readouterr().out


def test_what_a_later_layer_hides_is_tied_to_its_finding() -> None:
    text = "FROM debian:12\nCOPY . /app\nRUN wget -O /a.tgz https://example.org/a.tgz\nRUN tar xf /a.tgz && rm /a.tgz\n"
    late = tuple(finding for finding in check(text).findings if finding.rule == "removed-late")
    tied = Tied("Dockerfile", text, (), (), ((2, 2), (3, 3), (4, 4)), late=late)
    found = tied.hidden_by(3, "/a.tgz")
    assert found is not None
    assert found.line == 3
    assert tied.hidden_by(2, "/a.tgz") is None
    assert tied.hidden_by(3, "/b.tgz") is None
