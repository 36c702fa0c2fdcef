"""Images of strangers, and how the work that they ask for grows: by steps that are counted, not by seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cleanroom.images.audit import audit
from cleanroom.images.contents import read
from cleanroom.images.image import DEFAULT, ImageError
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support.images import Layout, config, gzipped, layer, oci

Entries = dict[str, object]


def many_users(n: int) -> list[Entries]:
    """Layers of one file each, and as many users."""
    passwd = "".join(f"u{index}:x:1:1::/srv/u{index}:/bin/sh\n" for index in range(25 * n))
    homes: Entries = {f"srv/u{index}/.cache/pip/a": 1 for index in range(25 * n)}
    return [{"etc/passwd": passwd, **homes}, *({f"srv/u{index}/.cache/pip/a": 2} for index in range(n))]


def chained_links(n: int) -> list[Entries]:
    """Links that lead on to each other by long ways."""
    way = "./" * 100
    links: Entries = {f"l{index}": f"-> {way}l{index - 1}" for index in range(1, 38)}
    return [{"l0/x": 1, **links, **{f"l37/{index}/x": 1 for index in range(20 * n)}, "root/.cache": "-> /l37"}]


def links_of_homes(n: int) -> list[Entries]:
    """Homes that are one folder by many names."""
    return [{"srv/app/.cache/pip/a": 1, **{f"home/u{index}": "-> /srv/app" for index in range(50 * n)}}]


def deep_whiteouts(n: int) -> list[Entries]:
    """Whiteouts far down, one below another."""
    files: Entries = {f"{'a/' * depth}x": 1 for depth in range(0, 20 * n, 5)}
    gone: Entries = {f"{'a/' * depth}.wh.x": 0 for depth in range(0, 20 * n, 5)}
    return [files, gone, {"a/.wh..wh..opq": 0}]


def opaque_in_opaque(n: int) -> list[Entries]:
    """Folders that hide all that is below, one in another, beside files of their own layer."""
    own: Entries = {f"{'a/' * 30}{index}": 1 for index in range(10 * n)}
    return [own, {**own, **{f"{'a/' * depth}.wh..wh..opq": 0 for depth in range(1, 30)}}]


def one_folder_many_caches(n: int) -> list[Entries]:
    """Names that globs of recipes mean."""
    return [{f"var/lib/gems/{index}/cache/x": 1 for index in range(20 * n)}]


FAMILIES = [many_users, chained_links, links_of_homes, deep_whiteouts, opaque_in_opaque, one_folder_many_caches]


def steps(entries: list[Entries], folder: Path) -> int:
    layers = [layer(item) for item in entries]  # type: ignore[arg-type]
    with open_image(oci(folder, layers, config(layers))) as image:
        return audit(image, library=library()).contents.tree.steps


@pytest.mark.parametrize("family", FAMILIES)
def test_work_grows_as_the_image(family: Callable[[int], list[Entries]], tmp_path: Path) -> None:
    one, two, four = (steps(family(4 * factor), tmp_path / str(factor)) for factor in (1, 2, 4))
    # Deep paths may cost their length for each: then twice the depth is four times the work, and no more.
    assert two - one < 4.2 * one, (one, two, four)
    assert four - two < 4.2 * (two - one) + 1000, (one, two, four)
    assert four < 300_000, (one, two, four)


def test_work_is_bounded(tmp_path: Path) -> None:
    reference = oci(tmp_path / "image", layers := [layer(item) for item in chained_links(4)], config(layers))
    limits = replace(DEFAULT, steps=1000)
    with open_image(reference) as image, pytest.raises(ImageError, match=r"more than 1,000 steps.*--trust"):
        read(image, limits)


def test_one_blob_named_many_times(tmp_path: Path) -> None:
    data = layer({"root/.cache/pip/a": 3000, "etc/x": 1})
    reference = oci(tmp_path / "image", [data] * 40, config([data] * 40))
    with open_image(reference) as image:
        found = audit(image, library=library()).audit
    assert found.stored == len(gzipped(data))  # it is pulled once
    assert found.waste_stored < found.stored
    assert found.waste == 40 * 3000
    limits = replace(DEFAULT, repeated=10 * len(data))
    with (
        open_image(reference) as image,
        pytest.raises(ImageError, match=r"layer 12: is the same as one before.*--trust"),
    ):
        audit(image, library=library(), limits=limits)


@pytest.mark.parametrize("text", ["echo x && ", "apt-get update; ", "pip install x || ", "if true; then :; fi; "])
def test_a_long_history(text: str, tmp_path: Path) -> None:
    layers = [layer({"root/.cache/pip/a": 5})]
    steps = [{"created_by": f"RUN /bin/sh -c {text * (32_000 // len(text))}true", "empty_layer": True}] * 126
    history = [{"created_by": "RUN /bin/sh -c pip install flask"}, *steps]
    with open_image(oci(tmp_path / "image", layers, config(layers, history))) as image:
        found = audit(image, library=library()).audit
    assert [(item.bytes, item.expected) for item in found.leftovers] == [(5, "left")]


def test_an_index_of_one_manifest_many_times(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "image")
    layers = [layer({"root/.cache/pip/a": 5})]
    manifest = layout.manifest(layers, config(layers))
    with open_image(layout.index(*[manifest] * 900)) as image:
        assert audit(image, library=library()).audit.waste == 5
