"""`liqo demo`."""

import os
import sys

import typer

from liqo.lab.progress import OnConsole


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Show the main job on this machine: two clusters, one new node, two pods on it.

    Everything stays up to play with; `liqo lab down` ends it. The first time, the lab's programs are built.

    Example: liqo demo
    """
    from liqo.app.demo import next_commands, run_demo  # noqa: PLC0415  the CLI starts fast
    from liqo.lab.lab import Lab  # noqa: PLC0415

    with OnConsole() as progress:

        def say(text: str) -> None:
            progress.rest()
            typer.echo(text)

        run_demo(Lab(progress=progress), say)
    liqo = os.path.relpath(sys.argv[0])
    typer.echo("\nTry next, in this folder:")
    for command in next_commands(liqo):
        typer.echo(f"  {command}")
    typer.echo(f"\nStop everything: {liqo} lab down")
