"""`liqo discover lan`: which clusters the LAN shows, and what is wrong with their records."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.lan import Interfaces
from liqo.cli.options import Output, OutputOption
from liqo.cli.output import print_json, print_table, stderr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from liqo.discovery.lan_table import Listing

COLUMNS = ("INSTANCE", "CLUSTER ID", "NAMESPACE", "ENDPOINTS", "CA", "LEFT", "PROBLEM")


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lan")(discover_lan)


def discover_lan(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Print changes until Ctrl-C.")] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=3_600, help="How long to wait for answers.")] = 3,
    interface: Interfaces = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the clusters that announce themselves on the LAN; needs no cluster.

    Example: liqo discover lan --watch
    """
    from liqo.app.lan_look import forge_json, look, row  # noqa: PLC0415  the CLI starts fast

    before: dict[str, tuple[str, ...]] = {}

    def show(listings: "Sequence[Listing]", now: "datetime") -> None:
        if output is Output.JSON and not watch:
            print_json([forge_json(listing, now) for listing in listings])
            return
        if not watch:
            print_table(COLUMNS, [row(listing, now) for listing in listings], empty="nobody on the LAN")
            return
        # What is left of a life is no change.
        rows = {x.instance: (*row(x, now)[:5], "", row(x, now)[6]) for x in listings}
        for name in sorted({*before, *rows}):
            if before.get(name) != rows.get(name):
                sign = "-" if name not in rows else "+" if name not in before else "~"
                typer.echo(f"{sign} " + "  ".join(x for x in rows.get(name, before.get(name, ())) if x))
        before.clear()
        before.update(rows)

    if watch:
        stderr.print("Ctrl-C ends it", markup=False)
    with suppress(KeyboardInterrupt):
        asyncio.run(look(seconds=None if watch else seconds, interfaces=tuple(interface or ()), changed=show))
