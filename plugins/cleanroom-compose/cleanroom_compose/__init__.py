"""Dockerfiles in Compose files and Bake files, and shell scripts, as more kinds of files that hold build steps."""

from collections.abc import Iterator

from cleanroom import hookimpl
from cleanroom.syntax.dockerfile import Dockerfile, DockerfileError
from cleanroom.syntax.readers import Reader
from cleanroom_compose import hcl, script, yaml_files


def _several(_text: str) -> Dockerfile:
    raise DockerfileError("this file may hold several Dockerfiles; each has to be read alone", 1)


@hookimpl
def cleanroom_readers() -> Iterator[Reader]:
    """Yield the readers of Compose files, of Bake files in HCL and in JSON, and of scripts."""
    yield Reader(
        "compose",
        "dockerfile_inline in Compose files",
        tuple(f"{name}{end}" for name in ("compose", "compose.*", "docker-compose*") for end in (".yaml", ".yml")),
        _several,
        recognises=lambda text: yaml_files.COMPOSE_KEY in text,
        embedded=yaml_files.compose,
    )
    yield Reader(
        "bake",
        "dockerfile-inline in Bake files (HCL)",
        ("docker-bake.hcl", "docker-bake.*.hcl"),
        _several,
        recognises=lambda text: yaml_files.BAKE_KEY in text,
        embedded=hcl.bake,
    )
    yield Reader(
        "bake-json",
        "dockerfile-inline in Bake files (JSON)",
        ("docker-bake.json", "docker-bake.*.json"),
        _several,
        recognises=lambda text: yaml_files.BAKE_KEY in text,
        embedded=yaml_files.bake,
    )
    # Not by name: most scripts called install.sh run on no image.
    yield Reader("shell", "shell scripts, such as install.sh of a devcontainer feature", (), script.parse)
