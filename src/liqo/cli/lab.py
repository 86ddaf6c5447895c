"""`liqo lab`: real clusters on this machine, without Docker."""

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

from liqo.cli.durations import parse_span
from liqo.cli.output import print_fault, print_json, print_table, stderr
from liqo.errors import Fault, Invalid
from liqo.lab.build import NEWEST, ensure_binaries, ensure_metrics_binaries
from liqo.lab.lab import Lab
from liqo.lab.progress import OnConsole
from liqo.lab.real_nodes import ensure_node
from liqo.lab.spec import ClusterSpec
from liqo.lab.status import ClusterStatus, forge_status

app = typer.Typer(
    help="Real clusters on this machine, without Docker, each a host of its own on one LAN.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A cluster of the lab, as `liqo lab status` shows it.")
]
Older = typer.Option(metavar="VERSION", help="An older Kubernetes, such as 1.31; the newest by default.")


class Output(StrEnum):
    """How `status` prints."""

    TABLE = "table"
    JSON = "json"


@app.command()
def up(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Clusters; rome and milan by default.")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=0, help="Fake nodes in each; 3 by default.")] = None,
    real: Annotated[
        bool | None,
        typer.Option(
            "--real/--no-real",
            help="A real node in each, on which pods run; fake ones by --nodes only. Root.",
        ),
    ] = None,
    metrics: Annotated[
        bool | None, typer.Option("--metrics", help="metrics-server in each from now on, for kubectl top.")
    ] = None,
    liqo: Annotated[
        bool | None, typer.Option("--liqo/--no-liqo", help="Install and run Liqo in them; the default.")
    ] = None,
    anonymous: Annotated[
        bool | None,
        typer.Option("--anonymous/--no-anonymous", help="Whether the API servers take anonymous requests."),
    ] = None,
    kubelet_ca: Annotated[
        bool | None,
        typer.Option(
            "--kubelet-ca/--no-kubelet-ca",
            help="Whether they talk only to kubelets with a certificate of the cluster's CA, as k3s has it.",
        ),
    ] = None,
    kubernetes: Annotated[str | None, Older] = None,
    loopback: Annotated[
        bool, typer.Option("--loopback", help="Loopback addresses instead of a LAN, for a new lab.")
    ] = False,
) -> None:
    """Bring clusters up, all at once; what runs already is left alone.

    The first time, the programs are built from source: 6 to 10 minutes.

    Example: liqo lab up rome milan --nodes 5
    """
    from liqo.app.lab import up_with_liqo  # noqa: PLC0415  only this command needs it

    with OnConsole() as progress:
        lab = Lab(progress=progress)
        done = up_with_liqo(
            lab,
            names or (),
            nodes=nodes,
            anonymous=anonymous,
            kubelet_ca=kubelet_ca,
            kubernetes=kubernetes,
            real=real,
            metrics=metrics,
            liqo=liqo,
            loopback=loopback,
        )
        for spec, parts, created in done:
            progress.say(_told(spec, parts, created=created))
        left_out = tell_left_out([spec for spec, *_ in done])
        if left_out:
            progress.say(left_out)


@app.command()
def down() -> None:
    """End everything of the lab and delete its folder.

    Also after any of it was killed: it goes by what runs, not by what was written down.

    Example: liqo lab down
    """
    lab = Lab()
    _say(f"{lab.folder} is gone" if lab.down() else f"no lab in {lab.folder}")


@app.command()
def status(
    output: Annotated[Output, typer.Option("-o", "--output", help="How to print.")] = Output.TABLE,
) -> None:
    """Show the clusters, and what of them does not run.

    Example: liqo lab status -o json
    """
    lab = Lab()
    clusters = lab.status()
    if output is Output.JSON:
        print_json(forge_status(clusters))
        return
    rows = [(c.name, c.api_url, c.cluster_id or "-", _state(c)) for c in clusters]
    print_table(("NAME", "API", "CLUSTER ID", "STATE"), rows, empty=f"no lab in {lab.folder}; liqo lab up")


@app.command()
def kubeconfig(
    name: Name,
    path: Annotated[bool, typer.Option("--path", help="Print the path of the file instead.")] = False,
) -> None:
    """Print an administrator's kubeconfig that works in any shell of this machine.

    Its default namespace is liqo.

    Example: export KUBECONFIG=$(liqo lab kubeconfig rome --path)
    """
    file = Lab().cluster(name).kubeconfig
    typer.echo(str(file) if path else file.read_text(), nl=path)


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(
    name: Name,
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The program and its arguments.")],
) -> None:
    """Run a program as on a host of that cluster: its network, its KUBECONFIG, the matching kubectl.

    Example: liqo lab exec rome -- kubectl get nodes
    """
    run = Lab().command(name, command[1:] if command[:1] == ["--"] else command)
    try:
        os.execvpe(run.argv[0], run.argv, run.env)  # noqa: S606  it is what the user asked for
    except FileNotFoundError:
        raise Invalid(f"no program {run.argv[0]!r}", hint="check its name, or give its path") from None


@app.command()
def logs(
    name: Name,
    component: Annotated[str, typer.Argument(help="As `liqo lab status -o json` shows it, or `relay`.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
) -> None:
    """Print the log of a component.

    Example: liqo lab logs rome liqo -f
    """
    file = Lab().log(name, component)
    if not file.exists():
        raise Invalid(f"{component} of {name} has no log yet", hint=f"liqo lab start {name} {component}")
    if follow:
        os.execvp("tail", ["tail", "-n", "+1", "-F", str(file)])  # noqa: S606, S607
    typer.echo(file.read_text(errors="replace"), nl=False)


@app.command()
def stop(name: Name, component: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Stop a cluster, or one component of it; its network and data stay.

    Example: liqo lab stop milan kube-apiserver
    """
    stopped = Lab().stop(name, component)
    _say(f"{name}: stopped {', '.join(stopped)}" if stopped else f"{name}: nothing ran")


@app.command()
def start(name: Name, component: Annotated[str | None, typer.Argument(help="Only this one.")] = None) -> None:
    """Start a cluster again, or one component of it.

    Example: liqo lab start milan
    """
    with OnConsole() as progress:
        started = Lab(progress=progress).start(name, component)
        progress.say(
            f"{name}: started {', '.join(started)}" if started else f"{name}: all of it runs already"
        )


@app.command()
def partition(name: Name, other: Name) -> None:
    """Cut two clusters off from each other: nothing passes between them, and nobody is told.

    Example: liqo lab partition rome milan
    """
    Lab().partition(name, other)
    _say(f"{name} and {other} cannot reach each other; liqo lab heal {name} {other}")


@app.command()
def heal(name: Name, other: Name) -> None:
    """End a partition.

    Example: liqo lab heal rome milan
    """
    Lab().heal(name, other)
    _say(f"{name} and {other} reach each other")


@app.command(context_settings={"ignore_unknown_options": True})
def skew(
    name: Name,
    duration: Annotated[
        str, typer.Argument(metavar="±DURATION", help="Such as +5m, -90s, 1h30m; 0 ends it.")
    ],
) -> None:
    """Set the clock of a cluster's Liqo ahead or back, and start it again with that.

    Example: liqo lab skew milan +10m
    """
    seconds = parse_span(duration)
    again = Lab().skew(name, seconds)
    what = "it is started again" if again else "it does not run, and will have that when it starts"
    _say(f"the clock of {name}'s Liqo is off by {seconds:+g} s; {what}")


@app.command()
def build(
    kubernetes: Annotated[str, Older] = NEWEST,
    real: Annotated[bool, typer.Option("--real", help="Those of a real node too.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="metrics-server too.")] = False,
) -> None:
    """Build the lab's programs now, and say where they are.

    Of an older Kubernetes these are its own only; the newest brings all others.

    Example: liqo lab build
    """
    with OnConsole() as progress:
        folder = ensure_binaries(progress, kubernetes).folder
        if real:
            ensure_node(progress)
        if metrics:
            ensure_metrics_binaries(progress)
    typer.echo(str(folder / "bin"))


def tell_left_out(specs: Sequence[ClusterSpec]) -> str:
    """Return why clusters have no LAN agent though nobody asked to do without; "" if all have one."""
    names = [spec.name for spec in specs if spec.liqo and spec.lan and not spec.has_agent]
    if not names:
        return ""
    return (
        f"no LAN agent runs in {', '.join(names)}: loopback addresses carry no multicast\n"
        "hint: discover them by a DNS domain or a ForeignCluster; for LAN discovery, liqo lab down, and up without "
        "--loopback, on Linux with iproute2 and util-linux"
    )


def _say(text: str) -> None:
    stderr.print(text, markup=False, soft_wrap=True)


def _told(spec: ClusterSpec, started: Sequence[str], *, created: bool) -> str:
    if created:
        older = f"Kubernetes {spec.kubernetes}, " if spec.kubernetes else ""
        return f"{spec.name}: up at {spec.api_url}, {older}{spec.nodes} nodes; kubeconfig {spec.kubeconfig}"
    return f"{spec.name}: started {', '.join(started)}" if started else f"{spec.name}: all of it runs already"


def _state(cluster: ClusterStatus) -> str:
    missing = [component.name for component in cluster.components if component.pid is None]
    if len(missing) == len(cluster.components):
        return "stopped"
    waiting = [c.name for c in cluster.components if c.pid is not None and not c.ready]
    words = [f"{', '.join(missing)} stopped"] if missing else []
    words += [f"{', '.join(waiting)} not ready"] if waiting else []
    return "; ".join(words) or "ready"


def main() -> None:
    """Run only this group: python -m liqo.cli.lab."""
    try:
        app(prog_name="liqo lab")
    except Fault as fault:
        print_fault(fault)
        sys.exit(2 if isinstance(fault, Invalid) else 1)


if __name__ == "__main__":
    main()
