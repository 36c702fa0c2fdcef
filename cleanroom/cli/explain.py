"""``cleanroom explain``: what a rule says, and why."""

from __future__ import annotations

import click

from cleanroom.cli import lookup, verbose_option


@click.command()
@click.argument("rule")
@verbose_option
def command(rule: str) -> None:
    """Explain RULE, with an example that it reports and one that it does not.

    RULE may be copied from a finding: left-behind[apt.lists].
    """
    found = lookup.rule(rule)
    default = "" if found.default else ", off unless selected"
    click.echo(f"{found.name} ({found.severity}{default})\n{found.summary}\n\n{found.explanation.strip()}")
