"""`liqo requests`, `liqo accept`, `liqo deny`."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.api.federation_request import FederationRequest
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import age, print_json, print_table

if TYPE_CHECKING:
    from liqo.app.requests import Word

Name = Annotated[
    str, typer.Argument(help="ClusterID, or the name of the cluster, its request or its ForeignCluster.")
]


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(requests)
    app.command()(accept)
    app.command()(deny)


def requests(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """List who asks to use this cluster, and who was let in.

    Whoever asks chooses the name of his cluster himself; its ClusterID he has to prove.

    Example: liqo requests
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app.requests import list_requests  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> list[FederationRequest]:
        async with connected(kubeconfig, context) as (cluster, _):
            return await list_requests(cluster, namespace)

    found = asyncio.run(run())
    if output is Output.JSON:
        print_json({"requests": [_row_json(r) for r in found]})
        return
    now = SystemClock().now()
    rows = [
        (
            r.spec.cluster_name,
            r.spec.cluster_id,
            r.status.phase or "New",
            r.status.reason,
            age(r.metadata.creation_timestamp, now),
        )
        for r in found
    ]
    print_table(("CLUSTER", "CLUSTER ID", "PHASE", "REASON", "AGE"), rows, empty="nobody asks")


def accept(
    name: Name,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    offer: Annotated[
        bool, typer.Option("--offer", help="Take what a cluster that we joined offers us, instead.")
    ] = False,
) -> None:
    """Let a cluster use this one, now and when it asks again; or, with --offer, take its offer.

    Offers wait where advertisementConfig.ingoing.acceptPolicy is Manual.

    Example: liqo accept milan
    """
    if offer:
        _take(name, kubeconfig, context)
        return
    _answer(name, "Allow", kubeconfig, context, namespace)


def deny(
    name: Name,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Refuse a cluster, now and when it asks again; what it has here ends, and it is told why.

    Example: liqo deny milan
    """
    _answer(name, "Deny", kubeconfig, context, namespace)


def _answer(name: str, word: "Word", kubeconfig: Kubeconfig, context: Context, namespace: str) -> None:
    from liqo.app.requests import answer  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> tuple[str, str]:
        async with connected(kubeconfig, context) as (cluster, _):
            return await answer(cluster, namespace, name, word)

    cluster_id, foreign = asyncio.run(run())
    told = "accepted" if word == "Allow" else "denied"
    typer.echo(f"cluster {cluster_id} is {told}: spec.incoming of ForeignCluster {foreign} is {word}")


def _take(name: str, kubeconfig: Kubeconfig, context: Context) -> None:
    from liqo.app.peers import take_offer  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> str:
        async with connected(kubeconfig, context) as (cluster, _):
            return await take_offer(cluster, name)

    typer.echo(f"the offer of {asyncio.run(run())} is taken, now and later: spec.acceptOffer is true")


def _row_json(request: FederationRequest) -> dict[str, object]:
    return {
        "name": request.metadata.name,
        "clusterID": request.spec.cluster_id,
        "clusterName": request.spec.cluster_name,
        "phase": request.status.phase or "New",
        "reason": request.status.reason,
        "message": request.status.message,
    }
