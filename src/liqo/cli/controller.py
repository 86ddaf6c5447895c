"""`liqo controller`: runs every loop, the webhook, health and metrics."""

import asyncio
import os
from datetime import timedelta
from typing import Annotated

import typer

from liqo.api.names import DOOR_PORT, KUBELET_PORT
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace
from liqo.errors import Invalid


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(controller)


def alone() -> None:
    """Run nothing but this command."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.callback()(lambda: None)
    mount(app)
    app(prog_name="liqo")


def controller(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    listen: Annotated[str, typer.Option(help="Address to serve webhook, health and metrics on.")] = "0.0.0.0",  # noqa: S104
    webhook_port: Annotated[int, typer.Option(help="HTTPS port of the admission webhook.")] = 9443,
    health_port: Annotated[int, typer.Option(help="HTTP port of /healthz, /readyz and /metrics.")] = 8080,
    door: Annotated[
        bool | None,
        typer.Option(
            "--door/--no-door",
            help="Let strangers ask at a door of ours; by default only if the API server lets none in.",
            show_default=False,
        ),
    ] = None,
    door_port: Annotated[int, typer.Option(help="HTTPS port of that door.")] = DOOR_PORT,
    kubelet_address: Annotated[
        str,
        typer.Option(
            help="IP address that virtual nodes publish, for kubectl logs and exec; by default that of --listen, "
            "or of Service liqo-kubelet.",
            show_default=False,
        ),
    ] = "",
    kubelet_port: Annotated[
        int, typer.Option(help="HTTPS port of the virtual nodes' kubelet endpoint; 0 for none.")
    ] = KUBELET_PORT,
    allow_loopback: Annotated[
        bool, typer.Option(help="Connect to clusters on loopback addresses too; for a lab only.")
    ] = False,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error; default info.")
    ] = None,
) -> None:
    """Run Liqo for one cluster, in it or outside with a kubeconfig of its own ServiceAccount.

    Example: liqo controller --kubeconfig liqo-controller.kubeconfig --listen 10.0.0.5
    """
    from liqo.adapters.memory import keep_large_apart  # noqa: PLC0415  the CLI starts fast
    from liqo.app.controller import Options, run_controller  # noqa: PLC0415  the CLI starts fast

    options = Options(
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        listen=listen,
        webhook_port=webhook_port,
        health_port=health_port,
        door=door,
        door_port=door_port,
        kubelet_address=kubelet_address,
        kubelet_port=kubelet_port,
        allow_loopback=allow_loopback,
        skew=_skew(os.environ.get("LIQO_CLOCK_SKEW", "")),
        log_level=log_level,
    )
    keep_large_apart()
    try:
        import uvloop  # noqa: PLC0415  optional
    except ImportError:
        asyncio.run(run_controller(options))
    else:
        uvloop.run(run_controller(options))


def _skew(text: str) -> timedelta:
    """Read LIQO_CLOCK_SKEW, signed seconds: a lab's way to let clocks differ."""
    try:
        return timedelta(seconds=float(text or 0))
    except ValueError:
        raise Invalid(f"LIQO_CLOCK_SKEW={text} is no number of seconds") from None
