"""Images in a registry: a real one, which runs here for as long as the test."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanroom.images.audit import audit
from cleanroom.images.image import ImageError
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support import program
from tests.support.images import config, docker_save, layer

pytestmark = pytest.mark.builds
LAYERS = [layer({"var/lib/apt/lists/x": 100_000, "bin/sh": 10}), layer({"root/.cache/pip/a": 200_000})]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of an empty registry, which speaks plain HTTP, as the settings of the user say."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = tmp_path / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {tmp_path}/registry\nhttp:\n  addr: {address}\n"
    )
    folder = tmp_path / "home/.config/containers"
    folder.mkdir(parents=True)
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n')
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    command = [program("docker-registry"), "serve", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"http://{address}/v2/").close()
                    break
                except OSError:
                    time.sleep(0.1)
            assert process.poll() is None, "the registry did not start"
            yield address
        finally:
            process.terminate()


def test_an_image_in_a_registry(registry: str, tmp_path: Path) -> None:
    archive = docker_save(tmp_path / "image.tar", LAYERS, config(LAYERS))
    place = f"docker://{registry}/team/web:1"
    subprocess.run([program("skopeo"), "copy", "--quiet", f"docker-archive:{archive}", place], check=True)
    with open_image(place) as image:
        found = audit(image, library=library()).audit
    caches = [(item.layer, item.manager, item.bytes) for item in found.leftovers]
    assert caches == [(1, "apt", 100_000), (2, "pip", 200_000)]
    assert all(item.compression == "gzip" for item in found.layers)
    with pytest.raises(ImageError, match=r"skopeo says: .*manifest unknown"), open_image(f"{place}.2"):
        pass
