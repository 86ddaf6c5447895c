"""`liqo discover dns`: which clusters a domain shows, and what is wrong with its records."""

import asyncio
from typing import Annotated

import typer

from liqo.cli.options import Output, OutputOption
from liqo.cli.output import print_json, print_table, stderr

Server = Annotated[
    str | None,
    typer.Option("--server", "-s", help="Name server: 8.8.8.8:53, tls://9.9.9.9, https://HOST/dns-query."),
]


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dns")(discover_dns)


def discover_dns(
    domain: Annotated[str, typer.Argument(help="The domain to search: mydomain.com")],
    server: Server = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the clusters that a DNS domain lists, and what is wrong with each; needs no cluster.

    Example: liqo discover dns mydomain.com --server 8.8.8.8
    """
    from liqo.app.dns import default_server, look  # noqa: PLC0415  the CLI starts fast

    chosen = server or default_server()
    with stderr.status(f"asking {chosen}"):
        shown = asyncio.run(look(domain, chosen))
    seen = {name: k.sighting for name, k in shown.instances.items() if k.sighting is not None}
    if output is Output.JSON:
        print_json(
            {
                "domain": shown.domain,
                "server": shown.server,
                "fault": shown.fault,
                "authenticated": shown.proof,
                "instances": [
                    {
                        "instance": name,
                        "clusterID": s.cluster_id,
                        "namespace": s.namespace,
                        "endpoints": list(s.endpoints),
                        "untrustedCA": s.untrusted_ca,
                        "doorUrl": s.door_url,
                        "ttlSeconds": int(s.ttl.total_seconds()),
                    }
                    for name, s in seen.items()
                ],
                "problems": [
                    {"instance": p.instance, "reason": p.reason, "message": p.message} for p in shown.problems
                ],
            }
        )
    else:
        rows = [
            (
                name,
                s.cluster_id,
                s.namespace,
                ",".join(s.endpoints),
                "its own" if s.untrusted_ca else "trusted",
                f"{int(s.ttl.total_seconds())}s",
            )
            for name, s in seen.items()
        ]
        why = shown.fault.sentence if shown.fault is not None else "no PTR record leads to a cluster"
        print_table(
            ("INSTANCE", "CLUSTER ID", "NAMESPACE", "ENDPOINTS", "CA", "TTL"),
            rows,
            empty=f"{shown.domain} shows no cluster: {why}" if not shown.problems else "no cluster is whole",
        )
        for problem in shown.problems:
            stderr.print(
                f"{problem.instance or shown.domain}: {problem.reason}: {problem.message}", markup=False
            )
        stderr.print(f"asked {shown.server}: {shown.proof}: {shown.proof.sentence}", markup=False)
    if shown.problems or shown.fault is not None:
        raise typer.Exit(1)
