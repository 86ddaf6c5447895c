"""`liqo invite`, `liqo invites`, `liqo uninvite`."""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.durations import parse_span
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import print_json, print_table, stderr

if TYPE_CHECKING:
    from liqo.app.invites import Open


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(invite)
    app.command()(invites)
    app.command()(uninvite)


def invite(
    only: Annotated[
        str, typer.Option("--for", help="ClusterID that it is for; without it, whoever comes first.")
    ] = "",
    ttl: Annotated[str, typer.Option(help="How long it is open: 90s, 15m, 2h.")] = "15m",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Invite one cluster to use this one, whatever the policy on requests says.

    Prints one string for the owner of the other cluster: `liqo join INVITE` there. It is as secret as a password, and
    opens once.

    Example: liqo invite --ttl 1h
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app.invites import make_invite  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> str:
        async with connected(kubeconfig, context) as (cluster, access):
            return await make_invite(
                cluster,
                access,
                namespace,
                only=only,
                ttl=timedelta(seconds=parse_span(ttl)),
                clock=SystemClock(),
            )

    text = asyncio.run(run())
    if output is Output.JSON:
        print_json({"invite": text})
        return
    typer.echo(text)
    stderr.print(
        f"open for {ttl}, for {only or 'one cluster, whichever comes first'}; there: liqo join INVITE"
    )


def invites(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the invites that are open.

    Example: liqo invites
    """
    from liqo.app.invites import list_invites  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> "list[Open]":
        async with connected(kubeconfig, context) as (cluster, _):
            return await list_invites(cluster, namespace)

    found = asyncio.run(run())
    if output is Output.JSON:
        rows = [{"name": i.name, "for": i.only, "expires": _when(i)} for i in found]
        print_json({"invites": rows})
        return
    table = [(i.name, i.only or "<whoever comes first>", _when(i)) for i in found]
    print_table(("NAME", "FOR", "EXPIRES"), table, empty="no invite is open")


def uninvite(
    name: Annotated[str, typer.Argument(help="Name of the invite: liqo invites.")],
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Take an invite back that was not used yet.

    Example: liqo uninvite invite-k3wqxr2a
    """
    from liqo.app.invites import take_back  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> None:
        async with connected(kubeconfig, context) as (cluster, _):
            await take_back(cluster, namespace, name)

    asyncio.run(run())
    typer.echo(f"{name} is taken back")


def _when(found: "Open") -> str:
    from liqo.api.meta import format_time  # noqa: PLC0415  the CLI starts fast

    return format_time(found.expires) if found.expires is not None else ""
