"""`liqo lan`: announces this cluster on the LAN and browses for others."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace

Interfaces = Annotated[
    list[str] | None,
    typer.Option(
        "--interface", help="Network interface to use, may be repeated; default all but virtual ones."
    ),
]


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lan)


def lan(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    interface: Interfaces = None,
    listen: Annotated[str, typer.Option(help="Address to serve health and metrics on.")] = "0.0.0.0",  # noqa: S104
    health_port: Annotated[int, typer.Option(help="HTTP port of /healthz, /readyz and /metrics.")] = 8081,
    ttl: Annotated[
        int, typer.Option(min=2, max=4_500, help="Seconds for which others believe an announcement.")
    ] = 120,
    allow_loopback: Annotated[
        bool, typer.Option(help="Connect to clusters on loopback addresses too; for a lab only.")
    ] = False,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error; default info.")
    ] = None,
) -> None:
    """Announce this cluster on the LAN by multicast DNS, and make a ForeignCluster of each that is found.

    Example: liqo lan --kubeconfig liqo-lan.kubeconfig --interface eth0
    """
    from liqo.app.lan import Options, run_lan  # noqa: PLC0415  the CLI starts fast

    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        interfaces=tuple(interface or ()),
        listen=listen,
        health_port=health_port,
        ttl=timedelta(seconds=ttl),
        allow_loopback=allow_loopback,
        log_level=log_level,
    )
    asyncio.run(run_lan(options))
