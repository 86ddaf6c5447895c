"""`liqo discover lan`: which clusters the LAN shows, and what is wrong with their records."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.lan import Interfaces
from liqo.cli.options import Output, OutputOption
from liqo.cli.output import print_json, print_json_line, print_table, stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from liqo.discovery.lan_table import Listing

    Show = Callable[[Sequence[Listing], datetime], None]

COLUMNS = ("INSTANCE", "CLUSTER ID", "NAMESPACE", "ENDPOINTS", "CA", "LEFT", "PROBLEM")


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lan")(discover_lan)


def discover_lan(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            "-w",
            help="Print changes until Ctrl-C; as JSON, each on a line with its type and object.",
        ),
    ] = False,
    seconds: Annotated[float, typer.Option(min=0.5, max=3_600, help="How long to wait for answers.")] = 3,
    interface: Interfaces = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the clusters that announce themselves on the LAN; needs no cluster.

    Example: liqo discover lan --watch
    """
    from liqo.app.lan_look import look  # noqa: PLC0415  the CLI starts fast

    show = _watcher(output) if watch else _shower(output)
    if watch:
        stderr.print("Ctrl-C ends it", markup=False)
    with suppress(KeyboardInterrupt):
        asyncio.run(look(seconds=None if watch else seconds, interfaces=tuple(interface or ()), changed=show))


def _shower(output: Output) -> "Show":
    """Return what prints all that is there."""
    from liqo.app.lan_look import forge_json, row  # noqa: PLC0415

    def show(listings: "Sequence[Listing]", now: "datetime") -> None:
        if output is Output.JSON:
            print_json([forge_json(listing, now) for listing in listings])
        else:
            print_table(COLUMNS, [row(listing, now) for listing in listings], empty="nobody on the LAN")

    return show


def _watcher(output: Output) -> "Show":
    """Return what prints what changed."""
    from liqo.app.lan_look import Change, Changes, forge_json, row  # noqa: PLC0415

    signs = {Change.ADDED: "+", Change.MODIFIED: "~", Change.DELETED: "-"}
    changes = Changes()

    def show(listings: "Sequence[Listing]", now: "datetime") -> None:
        for change, listing in changes.since(listings, now):
            if output is Output.JSON:
                print_json_line({"type": change, "object": forge_json(listing, now)})
            else:
                typer.echo(f"{signs[change]} " + "  ".join(text for text in row(listing, now) if text))

    return show
