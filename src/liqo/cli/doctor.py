"""`liqo doctor`."""

import asyncio
from typing import TYPE_CHECKING

import typer

from liqo.cli.options import DEFAULT_NAMESPACE, Context, Kubeconfig, LiqoNamespace, Output, OutputOption
from liqo.cli.output import print_json, print_table

if TYPE_CHECKING:
    from liqo.app.doctor import Diagnosis

EXIT_WARNINGS = 1


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: LiqoNamespace = DEFAULT_NAMESPACE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say whether Liqo is well, and what each of its identities may do; warn about more than `liqo install` gives.

    It reads with your own rights, an administrator's, and changes nothing. Exit code 1 if there is anything to do.

    Example: liqo doctor --context home
    """
    from liqo.adapters.clock import SystemClock  # noqa: PLC0415  the CLI starts fast
    from liqo.app.doctor import diagnose  # noqa: PLC0415
    from liqo.app.setup import connected  # noqa: PLC0415

    async def run() -> "Diagnosis":
        async with connected(kubeconfig, context) as (cluster, access):
            return await diagnose(cluster, access, namespace, SystemClock())

    found = asyncio.run(run())
    if output is Output.JSON:
        print_json(_json(found))
    else:
        _print(found)
    if not found.well:
        raise typer.Exit(EXIT_WARNINGS)


def _rights(found: "Diagnosis") -> list[tuple[str, str, str, str, str]]:
    """Return a row for each thing that an identity may use."""
    from liqo.install.audit import whose  # noqa: PLC0415
    from liqo.install.grants import in_words  # noqa: PLC0415

    return [
        (whose(grant.subject, found.namespace), where, thing, verbs, grant.binding)
        for grant in found.grants
        for where, thing, verbs in in_words(grant.rights)
    ]


def _print(found: "Diagnosis") -> None:
    rows = [
        (who, where or "everywhere", thing, verbs, binding)
        for who, where, thing, verbs, binding in _rights(found)
    ]
    print_table(("WHO", "WHERE", "WHAT", "MAY", "BY"), rows, empty="nobody may do anything")
    typer.echo("")
    checks = [("ok" if check.ok else "warning", check.name, check.message) for check in found.checks]
    print_table(("HEALTH", "OF", "WHAT IT SAYS"), checks, empty="")
    typer.echo("")
    hints = [*((w.message, w.hint) for w in found.warnings)]
    hints += [(f"{check.name}: {check.message}", check.hint) for check in found.checks if not check.ok]
    for message, hint in hints:
        typer.echo(f"warning: {message}\n   hint: {hint}")
    if not hints:
        typer.echo("All is well, and nobody may do more than liqo install and the peerings give.")


def _json(found: "Diagnosis") -> dict[str, object]:
    names = ("who", "where", "what", "may", "by")
    return {
        "well": found.well,
        "checks": [{"name": c.name, "ok": c.ok, "message": c.message, "hint": c.hint} for c in found.checks],
        "rights": [dict(zip(names, row, strict=True)) for row in _rights(found)],
        "warnings": [{"about": w.about, "message": w.message, "hint": w.hint} for w in found.warnings],
    }
