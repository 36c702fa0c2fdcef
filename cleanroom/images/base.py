"""How many of an image's layers its base image brought, and how that is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from cleanroom.images.history import command
from cleanroom.images.image import Configuration, Image, ImageError

_LAST = ("CMD", "ENTRYPOINT")


class KnownFrom(str, Enum):
    """How the layers of the base image are recognised."""

    OPTION = "option"  # the base image itself
    DOCKERFILE = "dockerfile"  # the instructions that made the other layers
    HISTORY = "history"  # the image's history: a guess
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class BaseImage:
    """The image that another one is built on: how many of the lowest layers it brought, and what it is called."""

    layers: int = 0
    name: str = ""
    known_from: KnownFrom = KnownFrom.NOTHING


def guess(configuration: Configuration) -> BaseImage:
    """Guess the base image from the history.

    Buildah writes the name of the image that FROM named into the comment of the first step after it. Else, an image
    ends with its CMD or ENTRYPOINT: what comes before the last one that still has layers behind it was built before.
    """
    steps = configuration.history
    named = [
        (index, match[1])
        for index, step in enumerate(steps)
        if (match := re.fullmatch(r"FROM (\S+)", step.comment)) and not re.fullmatch(r"[0-9a-f]{8,64}", match[1])
    ]
    end, name = 0, configuration.base_name
    if named:
        end, image = named[-1]
        name = name or image
    else:
        ends = [index + 1 for index, step in enumerate(steps) if command(step.created_by).keyword in _LAST]
        layered = [index for index, step in enumerate(steps) if step.makes_layer]
        end = max((index for index in ends if layered and layered[-1] >= index), default=0)
    layers = sum(step.makes_layer for step in steps[:end])
    return BaseImage(layers, name, KnownFrom.HISTORY if layers else KnownFrom.NOTHING)


def below(image: Image, name: str, diff_ids: Sequence[str]) -> BaseImage:
    """Return the base image that has these layers. Raises ImageError when ``image`` is not built on it."""
    if tuple(diff_ids) != image.configuration.diff_ids[: len(diff_ids)]:
        raise ImageError(f"{image.reference}: is not built on the image that --base names: its layers differ")
    return BaseImage(len(diff_ids), name, KnownFrom.OPTION if diff_ids else KnownFrom.NOTHING)


def beside_dockerfile(configuration: Configuration, layers: int | None) -> BaseImage:
    """Return the base image when a Dockerfile made all but ``layers``, or the guess when it made none (None)."""
    guessed = guess(configuration)
    if layers is None:
        return guessed
    return replace(guessed, layers=layers, known_from=KnownFrom.DOCKERFILE if layers else KnownFrom.NOTHING)
