"""The command `liqo` with all its groups."""

from importlib.metadata import version
from typing import Annotated

import typer

from liqo.cli import (
    controller,
    demo,
    discover,
    dns,
    doctor,
    identity,
    installing,
    invites,
    lab,
    lan,
    offloading,
    peers,
    requests,
    sharing,
    status,
    trust,
)

app = typer.Typer(
    name="liqo",
    help="Independent Kubernetes clusters find each other, agree to share, and show each other as one more node.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(lab.app, name="lab")
app.add_typer(discover.app, name="discover")
app.add_typer(dns.app, name="dns")
app.add_typer(identity.app, name="identity")
app.add_typer(trust.app, name="trust")
for group in (
    installing,
    peers,
    offloading,
    requests,
    invites,
    sharing,
    status,
    doctor,
    controller,
    lan,
    demo,
):
    group.mount(app)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"liqo {version('liqo')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Join clusters that are not yours, and see each as one more node."""
