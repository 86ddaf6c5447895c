"""What a lab is before anything of it runs: its network's mode, and the clusters that it should have."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from liqo.errors import Invalid, Refused, Unavailable
from liqo.lab.build import NEWEST
from liqo.lab.network import Network, free_subnet, missing_tools
from liqo.lab.process import end, find, tail
from liqo.lab.progress import Progress
from liqo.lab.spec import LAN, PORTS, ClusterSpec, Mode
from liqo.lab.state import State, read_state
from liqo.lab.watchers import make_room


def settle_network(folder: Path, progress: Progress, *, loopback: bool) -> State:
    """Return a lab's state with its network standing; a new lab gets the best that is possible.

    Raises:
        Unavailable: the network of a lab is gone and cannot be made again.
    """
    make_room(progress)
    state = read_state(folder)
    if state is None:
        return _best(folder, progress, loopback=loopback)
    network = Network(folder, state.mode)
    if not network.has_lan():
        # Whoever still runs is plugged into a bridge that is gone.
        end(find(folder), folder, term_seconds=0)
    if not network.ensure_lan():
        raise Unavailable("the lab's network cannot be made again", hint="liqo lab down")
    return state


def _best(folder: Path, progress: Progress, *, loopback: bool) -> State:
    missing = missing_tools()
    if missing and not loopback:
        progress.say(
            f"{', '.join(missing)} not found: clusters get loopback addresses instead of a LAN\n"
            "hint: install iproute2 and util-linux, then liqo lab down and up, for LAN discovery and partitions"
        )
    modes = () if missing or loopback else (*((Mode.ROOT,) if os.geteuid() == 0 else ()), Mode.USER)
    for mode in modes:
        if Network(folder, mode).ensure_lan():
            return State(folder=folder, mode=mode, subnet=LAN)
    if modes:
        progress.say(
            "the kernel lets this user make no network: clusters get loopback addresses instead of a LAN\n"
            f"hint: {tail(folder / 'network' / 'lan.log', 1) or 'try as root'}"
        )
    seed = hashlib.sha256(str(folder).encode()).digest()[0]
    return State(folder=folder, mode=Mode.LOOPBACK, subnet=free_subnet(seed, PORTS["api"]))


def with_cluster(
    state: State,
    name: str,
    *,
    nodes: int | None,
    anonymous: bool | None,
    kubelet_ca: bool | None = None,
    kubernetes: str | None = None,
    real: bool | None = None,
    metrics: bool | None = None,
    liqo: bool | None,
    lan: bool | None = None,
    ports: Mapping[str, int],
) -> State:
    """Return the lab with that cluster in it, and the options that were named; `ports` are a new one's.

    Raises:
        Invalid: it has another Kubernetes; what one version has stored, another need not be able to read.
        Refused: it cannot have a real node.
    """
    old = state.clusters.get(name)
    if old and kubernetes not in (None, old.kubernetes):
        raise Invalid(
            f"{name} keeps the Kubernetes that it was made with, {old.kubernetes or 'the newest'}",
            hint="name a new cluster, or liqo lab down first",
        )
    spec = old or ClusterSpec(
        name=name,
        index=state.next_index(),
        folder=state.folder / name,
        mode=state.mode,
        subnet=state.subnet,
        kubernetes=kubernetes or NEWEST,
        ports=ports,
    )
    # A pod of a new cluster really runs unless somebody asked for fake nodes too.
    fake = 0 if real and not old else spec.nodes
    spec = replace(
        spec,
        nodes=fake if nodes is None else nodes,
        anonymous=spec.anonymous if anonymous is None else anonymous,
        kubelet_ca=spec.kubelet_ca if kubelet_ca is None else kubelet_ca,
        real=spec.real if real is None else real,
        metrics=spec.metrics if metrics is None else metrics,
        liqo=spec.liqo if liqo is None else liqo,
        lan=spec.lan if lan is None else lan,
    )
    if spec.real:
        check_real(spec)
    return state if spec == old else state.having(spec)


def check_real(spec: ClusterSpec) -> None:
    """Check that a cluster can have a real node.

    Raises:
        Invalid: its Kubernetes is an older one.
        Refused: only root can make one, on a LAN.
    """
    if spec.mode is not Mode.ROOT:
        raise Refused(
            "only root can make a real node, in a lab with a LAN",
            hint="liqo lab down, then up as root; without --real the nodes are fake, and any user may make them",
        )
    if spec.kubernetes != NEWEST:
        raise Invalid(
            f"{spec.name} has Kubernetes {spec.kubernetes}, and real nodes are of the newest only",
            hint="name a cluster without --kubernetes, or leave --real out",
        )
