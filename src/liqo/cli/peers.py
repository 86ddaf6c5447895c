"""`liqo join`, `liqo unjoin`, `liqo clusters`."""

import asyncio
import sys
from datetime import timedelta
from typing import Annotated

import typer

from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import find_condition
from liqo.api.reasons import ConditionType
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import age, print_json, print_table, stderr


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(join)
    app.command()(unjoin)
    app.command()(clusters)


def join(
    target: Annotated[
        str,
        typer.Argument(
            help="https://HOST:PORT of its API server, a known cluster's name, or an invite (- reads it from stdin)."
        ),
    ],
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    cluster_id: Annotated[
        str | None, typer.Option(help="Its ClusterID; without it, whoever answers at the address is taken.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the ForeignCluster; default the host.")] = "",
    foreign_namespace: Annotated[str, typer.Option(help="Namespace of Liqo there.")] = DEFAULT_NAMESPACE,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    wait: Annotated[bool, typer.Option(help="Wait until the node is Ready.")] = True,
    timeout: Annotated[int, typer.Option(help="Seconds to wait.")] = 60,
) -> None:
    """Join another cluster: it becomes one more node here.

    Example: liqo join https://192.168.1.20:6443
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app import peers  # noqa: PLC0415
    from liqo.app.invites import join_invite  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415
    from liqo.identity.invite import is_invite  # noqa: PLC0415

    invite = sys.stdin.read() if target == "-" else target

    async def run() -> None:
        async with connected(kubeconfig, context) as (cluster, _):
            if target == "-" or is_invite(invite):
                chosen = await join_invite(
                    cluster, invite, name=name, namespace=namespace, clock=SystemClock()
                )
            elif "://" in target:
                chosen = await peers.join_url(
                    cluster, target, name=name, cluster_id=cluster_id, namespace=foreign_namespace
                )
            else:
                chosen = await peers.set_join(cluster, target, join=True)
            if not wait:
                typer.echo(f"ForeignCluster {chosen} is to be joined")
                return
            node = await peers.follow_join(
                cluster, chosen, _say, within=timedelta(seconds=timeout), clock=SystemClock()
            )
            typer.echo(f"node {node} is Ready")

    asyncio.run(run())


def unjoin(
    name: Annotated[
        str, typer.Argument(help="Name of the ForeignCluster, of the cluster, or its ClusterID.")
    ],
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    wait: Annotated[bool, typer.Option(help="Wait until nothing of it is left.")] = True,
    timeout: Annotated[int, typer.Option(help="Seconds to wait.")] = 60,
) -> None:
    """End a peering: its node goes, and everything that was given to the other cluster.

    Example: liqo unjoin milan
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app import peers  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> None:
        async with connected(kubeconfig, context) as (cluster, _):
            chosen = await peers.set_join(cluster, name, join=False)
            if wait:
                await peers.follow_unjoin(
                    cluster, chosen, within=timedelta(seconds=timeout), clock=SystemClock()
                )
            typer.echo(f"{chosen} is {'no longer joined' if wait else 'being unjoined'}")

    asyncio.run(run())


def clusters(
    kubeconfig: Kubeconfig = None, context: Context = None, output: OutputOption = Output.TABLE
) -> None:
    """List the clusters that this one knows.

    Example: liqo clusters -o json
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app.peers import list_foreign  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> list[ForeignCluster]:
        async with connected(kubeconfig, context) as (cluster, _):
            return await list_foreign(cluster)

    found = asyncio.run(run())
    if output is Output.JSON:
        print_json({"clusters": [_row_json(f) for f in found]})
        return
    now = SystemClock().now()
    rows = [
        (
            f.metadata.name,
            f.spec.discovery_type,
            "yes" if f.spec.join else "no",
            (f.status.outgoing.phase if f.status.outgoing else None) or "-",
            (f.status.incoming.phase if f.status.incoming else None) or "-",
            (f.status.outgoing.node_name if f.status.outgoing else None) or "-",
            age(f.metadata.creation_timestamp, now),
            _why(f),
        )
        for f in found
    ]
    columns = ("NAME", "TYPE", "JOINED", "OUTGOING", "INCOMING", "NODE", "AGE", "WHY")
    print_table(columns, rows, empty="no other cluster is known; liqo join https://HOST:6443")


def _why(foreign: ForeignCluster) -> str:
    """Return the first thing that is not as it should be."""
    for condition in foreign.status.conditions:
        if condition.status != "True":
            return f"{condition.type}: {condition.reason}"
    return ""


def _row_json(foreign: ForeignCluster) -> dict[str, object]:
    ready = find_condition(foreign.status.conditions, ConditionType.NODE_READY)
    outgoing, incoming = foreign.status.outgoing, foreign.status.incoming
    return {
        "name": foreign.metadata.name,
        "clusterID": foreign.spec.cluster_id,
        "clusterName": foreign.spec.cluster_name,
        "type": foreign.spec.discovery_type,
        "joined": foreign.spec.join,
        "outgoing": outgoing.phase if outgoing else None,
        "incoming": incoming.phase if incoming else None,
        "node": outgoing.node_name if outgoing else None,
        "ready": ready is not None and ready.status == "True",
        "conditions": [c.wire() for c in foreign.status.conditions],
    }


def _say(line: str) -> None:
    stderr.print(f"  {line}", markup=False)
