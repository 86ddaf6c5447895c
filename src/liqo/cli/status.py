"""`liqo status`."""

import asyncio
from dataclasses import asdict

import typer

from liqo.api.cluster_config import effective
from liqo.api.federation_request import FederationRequest
from liqo.api.kinds import CLUSTER_CONFIG, CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, CONFIG_NAME
from liqo.app.overview import Overview
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import print_json
from liqo.errors import Absent
from liqo.runtime.ports import Cluster, Selection


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say on one screen what is shared with whom, who may use it, what waits and why, and how to stop.

    Example: liqo status
    """
    from liqo.app.opt_in import list_offloaded  # noqa: PLC0415  the CLI starts fast
    from liqo.app.overview import look  # noqa: PLC0415  the CLI starts fast
    from liqo.app.peers import list_foreign  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> Overview:
        async with connected(kubeconfig, context) as (cluster, _):
            foreigns = await list_foreign(cluster)
            ids = await _maybe(cluster, CONFIG_MAP, Key(namespace, CLUSTER_ID_CONFIG_MAP))
            config = effective(await _maybe(cluster, CLUSTER_CONFIG, Key("", CONFIG_NAME)))
            page = await cluster.list(Selection(FEDERATION_REQUEST, namespace=namespace))
            requests = [FederationRequest.parse(w) for w in page.items]
            offloaded = await list_offloaded(cluster)
        cluster_id = ((ids or {}).get("data") or {}).get(CLUSTER_ID_CONFIG_MAP, "")
        return look(cluster_id, config, foreigns, requests, offloaded)

    seen = asyncio.run(run())
    if output is Output.JSON:
        print_json(asdict(seen))
        return
    for line in _lines(seen):
        typer.echo(line)


async def _maybe(cluster: Cluster, kind: Kind, key: Key) -> Wire | None:
    try:
        return await cluster.get(kind, key)
    except Absent:
        return None


def _lines(seen: Overview) -> list[str]:
    """Return the screen."""
    share = f"{seen.percentage} % of what is free" if seen.sharing else "nothing"
    lines = [
        f"Cluster {seen.cluster_name} ({seen.cluster_id or 'no identity yet: is the controller running?'})",
        "",
        f"Shares       {share}",
        f"Who may ask  {seen.who_may} (requestPolicy {seen.request_policy})",
        "Stop         liqo share off",
        "",
        "Uses us:" if seen.shared else "Uses us: nobody",
    ]
    for tenant in seen.shared:
        offer = ", ".join(f"{k} {v}" for k, v in sorted(tenant.offered.items())) or "nothing yet"
        lines += [
            f"  {tenant.name} ({tenant.cluster_id}): {tenant.phase}, {offer}",
            f"    stop: {tenant.stop}",
        ]
    lines += ["", "We use:" if seen.used else "We use: nobody; liqo join https://HOST:6443"]
    for peer in seen.used:
        ready = "Ready" if peer.ready else f"not Ready {peer.why}".rstrip()
        node = f"node {peer.node} {ready}" if peer.node else "no node yet"
        lines += [f"  {peer.name} ({peer.cluster_id}): {peer.phase or '-'}, {node}", f"    stop: {peer.stop}"]
    if seen.offloaded:
        lines += ["", "Pods that may run elsewhere:"]
        lines += [f"  {o.namespace}: {o.where()}" for o in seen.offloaded]
    lines += ["", "Waiting:" if seen.waiting else "Waiting: nothing"]
    for item in seen.waiting:
        lines += [f"  {item.what}", f"    why:  {item.why}", f"    look: {item.hint}"]
    return lines
