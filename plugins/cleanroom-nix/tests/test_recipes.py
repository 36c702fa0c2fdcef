"""The cases in cases/: a Dockerfile each, and what cleanroom finds in it."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import cleanroom
from cleanroom.images.audit import audit
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from cleanroom.testing import cases, check_case, check_recipe


@pytest.mark.parametrize("case", cases(Path(__file__).parent / "cases"))
def test_case(case):
    check_case(case)


def test_the_recipe_is_valid():
    (recipe,) = [recipe for recipe in cleanroom.library().recipes() if recipe.id == "nix"]
    check_recipe(recipe)


def test_it_is_installed():
    done = subprocess.run(
        [sys.executable, "-m", "cleanroom", "--strict-plugins", "query", "nix-env"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("nix-collect-garbage -d\n", 0)
    assert done.stderr == "note: what was built without a result link goes too; copy it out before\n"
    listed = json.loads(
        subprocess.check_output([sys.executable, "-m", "cleanroom", "plugins", "--format", "json"], text=True)
    )
    (row,) = [row for row in listed["plugins"] if row["distribution"] == "cleanroom-nix"]
    assert row["status"] == "loaded"
    assert not row["problems"]


def test_an_audit_takes_nothing_in_the_store_for_waste(tmp_path):
    layer = _tar({"nix/store/abc-hello/bin/hello": bytes(300_000), "root/.cache/nix/eval.sqlite": bytes(70_000)})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "RUN /bin/sh -c nix-env -iA nixpkgs.hello # buildkit"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": ["x:1"], "Layers": ["layer.tar"]}]
    image = tmp_path / "image.tar"
    image.write_bytes(
        _tar(
            {
                "manifest.json": json.dumps(manifest).encode(),
                "config.json": json.dumps(config).encode(),
                "layer.tar": layer,
            }
        )
    )
    with open_image(str(image)) as opened:
        found = audit(opened, library=library()).audit
    assert [(item.manager, item.cache, item.bytes) for item in found.leftovers] == [("nix", "cache", 70_000)]


def _tar(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()
