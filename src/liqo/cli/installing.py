"""`liqo install` and `liqo uninstall`."""

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace
from liqo.cli.output import stderr


class Policy(StrEnum):
    """What happens to requests of clusters that nobody knows."""

    ACCEPT = "Accept"
    MANUAL = "Manual"
    DENY = "Deny"


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(install)
    app.command()(uninstall)


def install(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    cluster_name: Annotated[
        str | None, typer.Option(help="Name under which others see this cluster.")
    ] = None,
    api_url: Annotated[
        str | None, typer.Option(help="Address at which others reach this API server.")
    ] = None,
    request_policy: Annotated[
        Policy | None,
        typer.Option(help="What happens to requests; default Accept on a private address, else Manual."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="Run the controller in the cluster, from this container image.")
    ] = None,
    lan: Annotated[
        bool,
        typer.Option(
            "--lan/--no-lan",
            help="Give the LAN agent its rights, and run it where Liqo runs in the cluster; without, it is taken out.",
        ),
    ] = True,
    door: Annotated[
        bool,
        typer.Option(
            "--door/--no-door",
            help="Where the API server takes no anonymous requests, have a door beside it; without, print how to open "
            "two paths of it.",
        ),
    ] = True,
    webhook_url: Annotated[
        str | None,
        typer.Option(
            help="Where the API server reaches a controller outside: https://HOST:9443; default this machine."
        ),
    ] = None,
    controller_kubeconfig: Annotated[
        Path, typer.Option(help="Where to write the controller's own kubeconfig when it runs outside.")
    ] = Path("liqo-controller.kubeconfig"),
    lan_kubeconfig: Annotated[
        Path, typer.Option(help="Where to write the LAN agent's own kubeconfig when it runs outside.")
    ] = Path("liqo-lan.kubeconfig"),
) -> None:
    """Put Liqo into a cluster: kinds, rights, policies, and the controller.

    Example: liqo install --context home --cluster-name rome
    """
    from liqo.app.setup import Request, install_into  # noqa: PLC0415  the CLI starts fast

    request = Request(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        cluster_name=cluster_name,
        api_url=api_url,
        request_policy=request_policy.value if request_policy is not None else None,
        image=image,
        lan=lan,
        door=door,
        webhook_url=webhook_url,
        controller_kubeconfig=controller_kubeconfig,
        lan_kubeconfig=lan_kubeconfig,
    )
    for line in asyncio.run(install_into(request, _say)):
        typer.echo(line)


def uninstall(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """End all peerings, then take Liqo out of a cluster; its controller has to be running.

    Example: liqo uninstall --context home
    """
    from liqo.app.setup import uninstall_from  # noqa: PLC0415  the CLI starts fast

    asyncio.run(uninstall_from(kubeconfig, context, namespace, _say))
    typer.echo("Liqo is gone from this cluster.")


def _say(line: str) -> None:
    stderr.print(f"  {line}", markup=False)
