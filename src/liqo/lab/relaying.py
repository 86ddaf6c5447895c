"""Starts the relay of a cluster: sockets opened here, in the machine's network, carried by a process there."""

import errno
import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab.network import Network
from liqo.lab.plane import relay_ways
from liqo.lab.process import find, launch, marks, small_env
from liqo.lab.spec import PORTS, ClusterSpec, Mode

PART = "relay"
PROGRAM = Path(__file__).parent / "relay.py"
LOOPBACK = "127.0.0.1"
PORT_RANGE = range(20_000, 32_000)  # Linux takes outgoing ports from 32768 on (ip_local_port_range)
ATTEMPTS = 100
Sockets = Mapping[str, socket.socket]  # by service


def open_sockets() -> Sockets:
    """Return a listening socket for each service of a new cluster; close them when its relay runs.

    Their ports are outside the range from which the kernel takes those of outgoing connections, so that a
    relay which was killed gets them again.
    """
    return {service: _open_any() for service in PORTS}


def sockets_for(stack: ExitStack, mode: Mode) -> Sockets:
    """Return the sockets of a new cluster's relay, open as long as the stack is; on loopback it needs none."""
    sockets = {} if mode is Mode.LOOPBACK else open_sockets()
    for listening in sockets.values():
        stack.enter_context(listening)
    return sockets


def ports_of(sockets: Sockets) -> dict[str, int]:
    """Return the port of each service."""
    return {service: listening.getsockname()[1] for service, listening in sockets.items()}


def ensure_relay(folder: Path, spec: ClusterSpec, network: Network, opened: Sockets) -> None:
    """Start the relay of a cluster on the ports that its kubeconfigs name, unless it runs.

    Args:
        folder: of the lab.
        spec: the cluster.
        network: of the lab.
        opened: its sockets if it is new; otherwise empty, and they are opened again.

    Raises:
        Unavailable: somebody else has taken one of the ports meanwhile.
    """
    if not spec.ports or any(r.cluster == spec.name and r.part == PART for r in find(folder)):
        return
    with ExitStack() as stack:
        sockets = opened or {
            service: stack.enter_context(_open_again(spec, port)) for service, port in spec.ports.items()
        }
        targets = relay_ways(spec)
        ways = [f"{listening.fileno()}={targets[service]}" for service, listening in sockets.items()]
        launch(
            [*network.enter(spec.name), sys.executable, "-I", str(PROGRAM), *ways],
            env={**small_env(spec.folder), **marks(folder, spec.name, PART)},
            cwd=spec.folder,
            log=spec.log(PART),
            descriptors=[listening.fileno() for listening in sockets.values()],
        )


def _open_any() -> socket.socket:
    for _ in range(ATTEMPTS):
        try:
            return socket.create_server((LOOPBACK, secrets.choice(PORT_RANGE)))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
    raise Unavailable(f"no free port on {LOOPBACK}", hint="liqo lab down in labs that nobody uses")


def _open_again(spec: ClusterSpec, port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as exc:
        if exc.errno != errno.EADDRINUSE:
            raise
        raise Unavailable(
            f"port {port} of {LOOPBACK}, at which {spec.name} was reached, is taken by another program",
            hint="liqo lab down, then liqo lab up chooses others",
        ) from exc
