"""`liqo offload`."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, Output, OutputOption
from liqo.cli.output import print_json, print_table
from liqo.errors import Invalid

if TYPE_CHECKING:
    from liqo.app.opt_in import Offloaded


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(offload)


def offload(
    namespace: Annotated[
        str | None, typer.Argument(help="Whose pods; nothing: only list those that may already.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    clusters: Annotated[
        str, typer.Option(help="Only on these, with commas; without it on every one that a person joined.")
    ] = "",
    end: Annotated[bool, typer.Option("--end", help="New pods stay here from now on.")] = False,
    liqo_namespace: Annotated[
        str, typer.Option(help="Namespace in which Liqo lives; it stays.")
    ] = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Let new pods of a namespace run on other clusters, wherever the scheduler finds room.

    What runs already stays where it is, also after --end. As JSON it is always all namespaces that may.

    Example: liqo offload shop --clusters milan
    """
    from liqo.app.opt_in import end_offload, list_offloaded  # noqa: PLC0415  the CLI starts fast
    from liqo.app.opt_in import offload as let_run  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    names = [name for part in clusters.split(",") if (name := part.strip())]
    if (end and names) or (namespace is None and (end or names)):
        raise Invalid("that says two things", hint="liqo offload NAMESPACE --end, or --clusters A,B")

    async def run() -> "list[Offloaded]":
        async with connected(kubeconfig, context) as (cluster, _):
            if namespace is not None and end:
                await end_offload(cluster, namespace)
            elif namespace is not None:
                await let_run(cluster, namespace, names, liqo=liqo_namespace)
            return await list_offloaded(cluster)

    found = asyncio.run(run())
    if output is Output.JSON:
        print_json({"namespaces": [asdict(o) for o in found]})
    elif namespace is None:
        rows = [(o.namespace, o.where()) for o in found]
        print_table(("NAMESPACE", "MAY RUN ON"), rows, empty="all pods stay here; liqo offload NAMESPACE")
    elif end:
        typer.echo(f"new pods of {namespace} stay here")
    else:
        (one,) = (o for o in found if o.namespace == namespace)
        typer.echo(f"new pods of {namespace} may run on {one.where()}")
