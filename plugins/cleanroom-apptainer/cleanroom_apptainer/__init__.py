"""Apptainer and Singularity definition files, as one more kind of file that holds build steps."""

from collections.abc import Iterator

from cleanroom import hookimpl
from cleanroom.syntax.readers import Reader
from cleanroom_apptainer.definition import is_definition, parse


@hookimpl
def cleanroom_readers() -> Iterator[Reader]:
    """Yield the reader of definition files."""
    yield Reader(
        "apptainer",
        "Apptainer and Singularity definition files",
        ("*.def", "Singularity", "Singularity.*", "*.singularity"),
        parse,
        # Windows has module definition files called *.def too.
        recognises=is_definition,
    )
