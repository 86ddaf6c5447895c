"""`liqo identity`: keep, put back or give up the key that makes this cluster what it is."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import print_json, stderr
from liqo.errors import Refused

app = typer.Typer(
    help="Keep, put back or give up the key that makes this cluster what it is.", no_args_is_help=True
)


@app.command()
def show(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print this cluster's ClusterID, and whether its key is there; exit code 1 if not.

    Example: liqo identity show
    """
    from liqo.api.reasons import sentence_of  # noqa: PLC0415  the CLI starts fast
    from liqo.app.identity_copy import Standing, look  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> Standing:
        async with connected(kubeconfig, context) as (cluster, _):
            return await look(cluster, namespace)

    found = asyncio.run(run())
    if output is Output.JSON:
        print_json({"clusterID": found.cluster_id, "keyOf": found.key_of, "problem": found.problem or None})
    else:
        typer.echo(found.cluster_id or "not yet: the controller makes the identity at its first start")
    if found.problem:
        stderr.print(f"{found.problem}: {sentence_of(found.problem)}", markup=False)
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write it; a new file that only you can read.")
    ] = None,
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Print it instead, to pipe it into a safe.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Write a copy of this cluster's private keys: whoever has it can be this cluster.

    Example: liqo identity backup rome.identity.json
    """
    from liqo.app.identity_copy import copy  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    if (file is None) is not stdout:
        raise typer.BadParameter("a FILE, or --stdout")

    async def run() -> str:
        async with connected(kubeconfig, context) as (cluster, _):
            return await copy(cluster, namespace)

    text = asyncio.run(run())
    if file is None:
        sys.stdout.write(text)
        return
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise Refused(
            f"{file} cannot be made: {os.strerror(exc.errno or 0)}", hint="give a new file"
        ) from exc
    with os.fdopen(made, "w") as written:
        written.write(text)
    typer.echo(f"{file} holds this cluster's private keys: keep it where your other keys are")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `liqo identity backup` wrote; - for standard input.")],
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Put this cluster's keys back from a copy; a copy of another cluster is refused.

    Example: liqo identity restore rome.identity.json
    """
    from liqo.app.identity_copy import COPY_MAX, parse_copy  # noqa: PLC0415  the CLI starts fast
    from liqo.app.identity_copy import restore as put_back  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as there:
            identity = parse_copy(there.read(COPY_MAX + 1))
    except OSError as exc:
        raise Refused(f"{file} cannot be read: {os.strerror(exc.errno or 0)}") from exc

    async def run() -> bool:
        async with connected(kubeconfig, context) as (cluster, _):
            return await put_back(cluster, namespace, identity)

    missing = asyncio.run(run())
    typer.echo(
        f"the key of cluster {identity.cluster_id} is back: start the controller"
        if missing
        else f"the key of cluster {identity.cluster_id} is there already"
    )


@app.command()
def new(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what it would mean.")] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Give up who this cluster is: at the controller's next start it is another one.

    Example: liqo identity new --yes
    """
    from liqo.app.identity_copy import give_up, look  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> str | None:
        async with connected(kubeconfig, context) as (cluster, _):
            return await give_up(cluster, namespace) if yes else (await look(cluster, namespace)).cluster_id

    was = asyncio.run(run()) or "not made yet"
    if not yes:
        raise Refused(
            f"this cluster ({was}) would be another one to everybody: its peerings end on both sides, those that it "
            "wants are asked for again under the new id, and others have to allow and join that one anew",
            hint="liqo identity backup FILE keeps the old one; then liqo identity new --yes",
        )
    typer.echo(f"the identity of this cluster ({was}) is given up: start the controller again to get another")


@app.command()
def rotate(
    force: Annotated[
        bool, typer.Option("--force", help="Even if the last rotation was less than 24 hours ago.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Make a new key for others to seal to; the ClusterID, the peerings and the pods stay as they are.

    Example: liqo identity rotate
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app.identity_rotate import rotate as make_new  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> str:
        async with connected(kubeconfig, context) as (cluster, _):
            return await make_new(cluster, namespace, SystemClock().now(), force=force)

    cluster_id = asyncio.run(run())
    typer.echo(f"cluster {cluster_id} has a new sealing key; its controller takes it up and tells its peers")
