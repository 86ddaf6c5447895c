"""`liqo trust show|accept`."""

import asyncio
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.options import Context, Kubeconfig, Output, OutputOption
from liqo.cli.output import print_json, print_table, stderr

if TYPE_CHECKING:
    from liqo.api.foreign_cluster import Pin
    from liqo.app.pins import Standing

app = typer.Typer(
    help="See by which key and CA other clusters are known, and accept that one has changed.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Name of the ForeignCluster, of the cluster, or its ClusterID.")]


@app.command()
def show(
    name: Name, kubeconfig: Kubeconfig = None, context: Context = None, output: OutputOption = Output.TABLE
) -> None:
    """Show by which key and CA a cluster is known, and which it shows now if those are others.

    A CA is remembered of clusters whose id is a UUID only: the others may change theirs.

    Example: liqo trust show milan
    """
    from liqo.app.pins import read_standing  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> "Standing":
        async with connected(kubeconfig, context) as (cluster, _):
            return await read_standing(cluster, name)

    standing = asyncio.run(run())
    if output is Output.JSON:
        print_json(_json(standing))
        return
    rows = _rows(standing.known, standing.shown)
    print_table(("", "KNOWN BY", "SHOWN NOW"), rows, empty="it was not met yet")


@app.command()
def accept(
    name: Name,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    key: Annotated[
        str, typer.Option(help="The key that its owner told you; without it, what the cluster shows now.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Accept that a cluster whose id is a UUID has another key or CA than it had.

    Ask its owner first, and not over the same network: whoever sits between the clusters shows his own.

    Example: liqo trust accept milan
    """
    from liqo.app.pins import choose_pin, read_standing, write_pin  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> dict[str, object]:
        async with connected(kubeconfig, context) as (cluster, _):
            standing = await read_standing(cluster, name)
            pin = choose_pin(standing, key)
            if not yes:
                for what, before, after in _rows(standing.known, pin):
                    stderr.print(f"{what:4} {before or '-'}\n  -> {after or '-'}", markup=False)
                typer.confirm(
                    f"Is {standing.name} known by the second of each from now on?", abort=True, err=True
                )
            await write_pin(cluster, standing.name, pin)
            return _json(standing) | {"known": pin.wire(), "shown": None}

    done = asyncio.run(run())
    if output is Output.JSON:
        print_json(done)
    else:
        typer.echo(f"{done['name']} is known by what was accepted: spec.pin of its ForeignCluster")


def _rows(known: "Pin", shown: "Pin | None") -> list[tuple[str, str, str]]:
    """Return the key and each certificate, as known and as shown."""
    rows = [("key", known.signing_key, shown.signing_key if shown else "")]
    pairs = zip_longest(known.ca_fingerprints, shown.ca_fingerprints if shown else (), fillvalue="")
    rows += [("CA", before, after) for before, after in pairs]
    return [row for row in rows if row[1] or row[2]]


def _json(standing: "Standing") -> dict[str, object]:
    return {
        "name": standing.name,
        "clusterID": standing.cluster_id,
        "legacy": standing.legacy,
        "onceTrusted": standing.once_trusted,
        "known": standing.known.wire(),
        "shown": standing.shown.wire() if standing.shown else None,
    }
