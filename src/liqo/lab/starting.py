"""Starts clusters on their hosts, all at once: their planes, and real nodes and metrics-server where they have them."""

from collections.abc import Mapping, Sequence

from liqo.lab.metrics import MetricsServer
from liqo.lab.naming import start_name_server
from liqo.lab.plane import Runner, together
from liqo.lab.process import end, find
from liqo.lab.real_nodes import RealNodes, ensure_routes
from liqo.lab.relaying import Sockets, ensure_relay
from liqo.lab.spec import ClusterSpec
from liqo.lab.state import State


def start_planes(
    runner: Runner, state: State, names: Sequence[str], sockets: Mapping[str, Sockets] | None = None
) -> dict[str, tuple[str, ...]]:
    """Start what of clusters does not run, but Liqo; return the names of the components that had to be started.

    Args:
        runner: of the lab.
        state: of the lab.
        names: of the clusters.
        sockets: those of new clusters, on the machine's loopback.

    Raises:
        Refused: a real node cannot be.
        Unavailable: a program cannot be built, does not start, or dies.
    """
    specs = [state.cluster(name) for name in names]
    for spec in specs:
        if not runner.network.has_host(spec.name):
            end([r for r in find(runner.folder) if r.cluster == spec.name], runner.folder, term_seconds=0)
        spec.folder.mkdir(exist_ok=True, mode=0o700)
        runner.network.ensure_host(spec.name, spec.index, spec.host)
        ensure_relay(runner.folder, spec, runner.network, (sockets or {}).get(spec.name, {}))
    start_name_server(runner, state)
    real = RealNodes.ready(runner) if any(spec.real for spec in specs) else None
    metrics = MetricsServer.ready(runner) if any(spec.metrics for spec in specs) else None
    ensure_routes(runner, state)

    def start(spec: ClusterSpec) -> list[str]:
        return [
            *runner.start_plane(spec),
            *(real.start(spec) if real and spec.real else ()),
            *(metrics.start(spec) if metrics and spec.metrics else ()),
        ]

    started = together(runner, start, specs)
    return {spec.name: tuple(parts) for spec, parts in zip(specs, started, strict=True)}
