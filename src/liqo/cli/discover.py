"""`liqo discover`: what is out there, without a cluster of one's own."""

import typer

from liqo.cli import discover_dns, discover_lan

app = typer.Typer(
    help="See which clusters the LAN or a DNS domain shows, and what is wrong with their records; needs no cluster.",
    no_args_is_help=True,
)
discover_lan.mount(app)
discover_dns.mount(app)


@app.callback()
def discover() -> None:
    """See which clusters the LAN or a DNS domain shows, and what is wrong with their records; needs no cluster."""
