"""`liqo share`."""

import asyncio
from typing import Annotated

import typer

from liqo.cli.options import Context, Kubeconfig
from liqo.errors import Invalid


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(share)


def share(
    percentage: Annotated[
        str | None, typer.Argument(help="0 to 100 of what is free, or `off`; nothing: only say what it is.")
    ] = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """Say or set how much of what is free here other clusters may use.

    `off` ends every incoming peering; a number changes the offers and evicts nothing.

    Example: liqo share 50
    """
    from liqo.app.settings import read_sharing, write_sharing  # noqa: PLC0415  the CLI starts fast
    from liqo.app.setup import connected  # noqa: PLC0415

    wanted = _parse(percentage) if percentage is not None else None

    async def run() -> tuple[bool, int]:
        async with connected(kubeconfig, context) as (cluster, _):
            if percentage is not None:
                await write_sharing(cluster, wanted)
            return await read_sharing(cluster)

    enabled, share_of = asyncio.run(run())
    typer.echo(f"sharing {share_of} % of what is free" if enabled else "sharing nothing")


def _parse(text: str) -> int | None:
    """Return the percentage; None is off.

    Raises:
        Invalid: it is neither.
    """
    if text == "off":
        return None
    if text.rstrip("%").isdigit() and 0 <= int(text.rstrip("%")) <= 100:  # noqa: PLR2004
        return int(text.rstrip("%"))
    raise Invalid(f"{text!r} is no percentage", hint="0 to 100, or off")
