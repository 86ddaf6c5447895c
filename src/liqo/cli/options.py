"""Options and connections that several commands share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liqo.api.names import NAMESPACE
from liqo.runtime.ports import Cluster


class Output(StrEnum):
    """How a command prints."""

    TABLE = "table"
    JSON = "json"


Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        envvar="KUBECONFIG", help="Kubeconfig of the cluster; default ~/.kube/config, or the pod's own."
    ),
]
Context = Annotated[str | None, typer.Option(help="Context in that kubeconfig; default its current one.")]
LiqoNamespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace in which Liqo lives.")]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to print.")]
DEFAULT_NAMESPACE = NAMESPACE


@asynccontextmanager
async def connected(kubeconfig: Path | None, context: str | None) -> AsyncIterator[Cluster]:
    """Yield the cluster that a person's kubeconfig names."""
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  a command imports what it needs
    from liqo.adapters.own import connect_own  # noqa: PLC0415

    cluster = await connect_own(kubeconfig, context, clock=SystemClock())
    try:
        yield cluster
    finally:
        await cluster.close()
