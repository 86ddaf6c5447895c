"""`liqo dns`: publish this cluster in a DNS domain."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liqo.cli.discover_dns import Server
from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import print_json, stderr

if TYPE_CHECKING:
    from liqo.discovery.records import Entry

app = typer.Typer(help="Publish this cluster in a DNS domain.", no_args_is_help=True)

Domain = Annotated[str, typer.Argument(help="The domain: mydomain.com")]
Name = Annotated[str | None, typer.Option(help="Name of the instance; default the cluster's name.")]


@app.command()
def records(
    domain: Domain,
    name: Name = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print this cluster's records, ready for a zone file.

    Example: liqo dns records mydomain.com >> mydomain.com.zone
    """
    wanted = asyncio.run(_own(domain, name, kubeconfig, context, namespace))
    if output is Output.JSON:
        print_json([{"owner": e.owner, "type": e.kind, "data": e.data} for e in wanted])
        return
    for entry in wanted:
        typer.echo(entry.line())


@app.command()
def check(
    domain: Domain,
    server: Server = None,
    name: Name = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say which of this cluster's records are missing or wrong in a domain; exit code 1 if any.

    Example: liqo dns check mydomain.com --server 8.8.8.8
    """
    from liqo.app.dns import default_server, entries_there  # noqa: PLC0415  the CLI starts fast
    from liqo.discovery.records import compare  # noqa: PLC0415

    chosen = server or default_server()
    wanted = asyncio.run(_own(domain, name, kubeconfig, context, namespace))
    there, silent = asyncio.run(entries_there(wanted, chosen))
    findings = [] if silent else compare(wanted, there)
    if output is Output.JSON:
        found = [{"owner": f.record.owner, "type": f.record.kind, "problem": f.message} for f in findings]
        print_json({"server": chosen, "faults": sorted(set(silent)), "findings": found})
    elif silent:
        stderr.print(f"{chosen} could not be asked: {silent[0]}: {silent[0].sentence}", markup=False)
    else:
        wrong = {f.record: f.message for f in findings}
        for entry in wanted:
            typer.echo(f"{wrong.get(entry, 'ok'):<8} {entry.line()}")
    if findings or silent:
        raise typer.Exit(1)


@app.command()
def publish(
    domain: Domain,
    server: Annotated[
        str, typer.Option("--server", "-s", help="The zone's primary name server: 192.0.2.53:53")
    ],
    key_file: Annotated[Path, typer.Option(help="TSIG key, as tsig-keygen writes it.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the records out again.")] = False,
    name: Name = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
) -> None:
    """Write this cluster's records into a zone by a signed update (RFC 2136, TSIG); those of others stay.

    Example: liqo dns publish mydomain.com --server 192.0.2.53 --key-file liqo.key
    """
    from liqo.adapters.dns import encode_domain  # noqa: PLC0415  the CLI starts fast
    from liqo.adapters.dns_update import publish as write  # noqa: PLC0415  the CLI starts fast
    from liqo.adapters.dns_update import read_key  # noqa: PLC0415

    async def run() -> list["Entry"]:
        key = read_key(key_file)
        wanted = await _own(domain, name, kubeconfig, context, namespace)
        await write(encode_domain(domain), server, key, wanted, remove=remove)
        return wanted

    for entry in asyncio.run(run()):
        typer.echo(f"{'removed' if remove else 'written'}  {entry.line()}")


async def _own(
    domain: str, name: str | None, kubeconfig: Path | None, context: str | None, namespace: str
) -> list["Entry"]:
    from liqo.app.dns import own_entries  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    async with connected(kubeconfig, context) as (cluster, access):
        return await own_entries(cluster, access, namespace, domain, name)
