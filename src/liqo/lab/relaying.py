"""Starts the relay of a cluster: sockets opened here, in the machine's network, carried by a process there."""

import errno
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.network import Network
from liqo.lab.plane import relay_ways
from liqo.lab.process import find, launch, marks, small_env
from liqo.lab.spec import PORTS, ClusterSpec

PART = "relay"
PROGRAM = Path(__file__).parent / "relay.py"
LOOPBACK = "127.0.0.1"


def choose_ports() -> dict[str, int]:
    """Return a free port of the machine's loopback for each service of a cluster."""
    sockets = {service: socket.create_server((LOOPBACK, 0)) for service in PORTS}
    try:
        return {service: listening.getsockname()[1] for service, listening in sockets.items()}
    finally:
        for listening in sockets.values():
            listening.close()


def ensure_relay(folder: Path, spec: ClusterSpec, network: Network) -> None:
    """Start the relay of a cluster on the ports that its kubeconfigs name, unless it runs.

    Raises:
        Unavailable: somebody else has taken one of the ports meanwhile.
    """
    if not spec.ports or any(r.cluster == spec.name and r.part == PART for r in find(folder)):
        return
    sockets: dict[str, socket.socket] = {}
    try:
        for service, port in spec.ports.items():
            sockets[service] = _open(spec, port)
        argv = [sys.executable, "-I", str(PROGRAM), *_ways(relay_ways(spec), sockets)]
        launch(
            [*network.enter(spec.name), *argv],
            env={**small_env(spec.folder), **marks(folder, spec.name, PART)},
            cwd=spec.folder,
            log=spec.log(PART),
            descriptors=[listening.fileno() for listening in sockets.values()],
        )
    finally:
        for listening in sockets.values():
            listening.close()


def _ways(targets: Mapping[str, str], sockets: Mapping[str, socket.socket]) -> list[str]:
    return [f"{listening.fileno()}={targets[service]}" for service, listening in sockets.items()]


def _open(spec: ClusterSpec, port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        raise Unavailable(
            f"port {port} of {LOOPBACK}, at which {spec.name} was reached, is taken by another program",
            hint="liqo lab down, then liqo lab up chooses others",
        ) from exc
