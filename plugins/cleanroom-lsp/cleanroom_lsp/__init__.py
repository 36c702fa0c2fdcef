"""A language server: what cleanroom finds, as you type, with its fixes."""

from collections.abc import Iterator

import click

from cleanroom import hookimpl


@click.command("lsp", short_help="Serve an editor over standard input and output.")
def command() -> None:
    """Speak the Language Server Protocol over standard input and output. Editors start this; people need not."""
    from cleanroom_lsp.server import main  # what it imports takes a while

    main([])


@hookimpl
def cleanroom_commands() -> Iterator[click.Command]:
    """Yield ``cleanroom lsp``."""
    yield command
