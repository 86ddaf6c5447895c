"""Options and connections that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from liqo.api.names import NAMESPACE


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
