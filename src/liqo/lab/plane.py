"""Runs the components of one cluster: in order, each when those before it are ready."""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from liqo.errors import Fault, Unavailable
from liqo.lab.build import Binaries
from liqo.lab.client import api, is_ready
from liqo.lab.component import MACHINE, PYTHON, Component, plane
from liqo.lab.kubeconfig import forge_kubeconfig
from liqo.lab.network import Network
from liqo.lab.node_space import enter_node
from liqo.lab.nodes import LABEL, LABEL_VALUE, STAGES, forge_kwok_config, forge_node, node_name
from liqo.lab.pki import make_front_pki, make_pki
from liqo.lab.process import Running, command_line, end, find, is_alive, launch, marks, small_env, tail
from liqo.lab.progress import Progress
from liqo.lab.spec import NAMESPACE, PORTS, ClusterSpec
from liqo.lab.state import write_private
from liqo.lab.wait import until

READY_SECONDS = 120.0  # an API server on a machine that is busy with other things
CREATED = 201
FOUND = 200
CONFLICT = 409
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
IN_EACH = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")


class Runner:
    """Starts and stops components of the clusters of one lab.

    Args:
        folder: of the lab.
        network: its namespaces.
        binaries: the built programs, by what a component or a cluster calls its Kubernetes.
        progress: where it says what it does.
    """

    def __init__(
        self, folder: Path, network: Network, binaries: Mapping[str, Binaries], progress: Progress
    ) -> None:
        self.folder = folder
        self.network = network
        self.binaries = binaries
        self.progress = progress
        self.cancelled = threading.Event()

    def command(self, component: Component) -> tuple[str, ...]:
        """Return program and arguments as the kernel shows them."""
        if component.program == PYTHON:
            return (sys.executable, *component.args)
        if component.kubernetes == MACHINE:
            return (component.program, *component.args)
        return (self.binaries[component.kubernetes].path(component.program), *component.args)

    def running(self, cluster: str, component: str) -> Running | None:
        """Return the process of a component."""
        parts = find(self.folder)
        return next((r for r in parts if r.cluster == cluster and r.part == component), None)

    def start(self, host: str, folder: Path, component: Component, log: Path) -> Running:
        """Start a component on a host, without waiting for it.

        One that runs with other arguments, as after an update of liqo, is ended first.
        """
        enter = enter_node(self.folder, host) if component.in_node else self.network.enter(host)
        argv = self.command(component)
        if old := self.running(host, component.name):
            # Who enters a node stays, as the parent of what runs there, and is found first.
            if command_line(old.pid) in (argv, (*enter, *argv)):
                return old
            end([r for r in find(self.folder) if (r.cluster, r.part) == (host, component.name)], self.folder)
        for name, text in component.files.items():
            write_private(folder / name, text)
        env = {**small_env(folder), **component.env, **marks(self.folder, host, component.name)}
        self.progress.doing(f"{host}: starting {component.name}")
        pid = launch([*enter, *argv], env=env, cwd=folder, log=log)
        return Running(pid, host, component.name)

    def wait(self, spec: ClusterSpec, component: Component, process: Running) -> None:
        """Wait until a component is ready.

        Raises:
            Unavailable: it died, or it does not become ready; with the end of its log.
        """
        dead = False

        def settled() -> bool:
            nonlocal dead
            dead = not is_alive(process, self.folder)
            return dead or component.probe is None or is_ready(spec, component.probe)

        in_time = until(settled, seconds=READY_SECONDS, cancelled=self.cancelled)
        if self.cancelled.is_set():
            raise Unavailable("cancelled")
        if dead or not in_time:
            what = "ended" if dead else f"is not ready after {READY_SECONDS:.0f} s"
            log = spec.log(component.name)
            raise Unavailable(
                f"{spec.name}: {component.name} {what}; the end of its log:\n{tail(log)}",
                hint=f"liqo lab logs {spec.name} {component.name}",
            )

    def start_plane(self, spec: ClusterSpec) -> list[str]:
        """Bring a cluster up; return the names of the components that had to be started."""
        prepare(spec)
        components = plane(spec, forge_kwok_config(STAGES.read_text(), spec.folder / "pod.log"))
        started = self.start_all(spec, components)
        self.ensure_nodes(spec)
        self._wait_for_namespaces(spec)
        return started

    def start_all(self, spec: ClusterSpec, components: Iterable[Component]) -> list[str]:
        """Start components of a cluster in their order; return the names of those that had to be started."""
        started: list[str] = []
        for wave in waves(components):
            processes: list[tuple[Component, Running]] = []
            for component in wave:
                before = self.running(spec.name, component.name)
                process = self.start(spec.name, spec.folder, component, spec.log(component.name))
                processes.append((component, process))
                if process != before:
                    started.append(component.name)
            for component, process in processes:
                self.wait(spec, component, process)
        return started

    def ensure_nodes(self, spec: ClusterSpec) -> None:
        """Create the fake nodes that are missing and delete those that are too many."""
        answer = api(spec, "GET", f"/api/v1/nodes?labelSelector={LABEL}%3D{LABEL_VALUE}")
        there = {item["metadata"]["name"] for item in answer.json().get("items", ())}
        wanted = {node_name(spec, number): number for number in range(1, spec.nodes + 1)}
        for name in sorted(wanted.keys() - there):
            node = forge_node(spec, wanted[name], self.binaries[spec.kubernetes].version)
            answer = api(spec, "POST", "/api/v1/nodes", node)
            if answer.status not in (CREATED, CONFLICT):
                raise Unavailable(f"{spec.name}: node {name} cannot be created: {answer.body.decode()}")
        for name in sorted(there - wanted.keys()):
            api(spec, "DELETE", f"/api/v1/nodes/{name}")

    def _wait_for_namespaces(self, spec: ClusterSpec) -> None:
        """Wait for what each namespace is given: its CA, and an account without which a pod is refused."""
        paths = [f"/api/v1/namespaces/{namespace}/{what}" for namespace in NAMESPACES for what in IN_EACH]

        def are_there() -> bool:
            return all(api(spec, "GET", path).status == FOUND for path in paths)

        if not until(are_there, seconds=READY_SECONDS, cancelled=self.cancelled):
            raise Unavailable(
                f"{spec.name}: the controller manager makes no service accounts",
                hint=f"liqo lab logs {spec.name} kube-controller-manager",
            )

    def stop(self, cluster: str, components: Sequence[Component]) -> list[str]:
        """End components, those that others need last; return the names of those that ran."""
        stopped = []
        for order in sorted({component.stop_order for component in components}):
            names = {component.name for component in components if component.stop_order == order}
            ours = [r for r in find(self.folder) if r.cluster == cluster and r.part in names]
            end(ours, self.folder)
            stopped += [running.part for running in ours]
        return stopped


def waves(components: Iterable[Component]) -> list[list[Component]]:
    """Group components so that each group needs only those before it; keeps their order inside a group.

    Raises:
        ValueError: one needs a component that is not there, or itself.
    """
    left = list(components)
    done: set[str] = set()
    groups = []
    while left:
        group = [component for component in left if done.issuperset(component.after)]
        if not group:
            raise ValueError(f"{left[0].name} waits for {left[0].after}")
        groups.append(group)
        done |= {component.name for component in group}
        left = [component for component in left if component.name not in done]
    return groups


def prepare(spec: ClusterSpec) -> None:
    """Write keys and kubeconfigs of a cluster, those that are missing."""
    spec.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    hosts = (
        spec.host,
        "127.0.0.1",
        spec.service_ip,
        "localhost",
        f"{spec.name}.lab",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    )
    make_front_pki(spec.pki)
    make_pki(spec.pki, name=spec.name, hosts=hosts, etcd_host=spec.private)
    wanted: Mapping[Path, tuple[str, str]] = {
        spec.kubeconfig: ("admin", spec.people_url),
        spec.lan_kubeconfig: ("admin", spec.api_url),
        spec.folder / "controller-manager.kubeconfig": ("controller-manager", spec.api_url),
        spec.folder / "scheduler.kubeconfig": ("scheduler", spec.api_url),
    }
    for path, (who, server) in wanted.items():
        text = forge_kubeconfig(
            name=spec.name,
            server=server,
            ca=(spec.pki / "ca.crt").read_text(),
            certificate=(spec.pki / f"{who}.crt").read_text(),
            key=(spec.pki / f"{who}.key").read_text(),
            namespace=NAMESPACE,
        )
        write_private(path, text)


def relay_ways(spec: ClusterSpec) -> dict[str, str]:
    """Return where the relay carries each service, as HOST:PORT inside the cluster's network."""
    outside = {"api", "kwok", "liqo", "liqo-lan"}
    return {
        service: f"{spec.host if service in outside else spec.private}:{port}"
        for service, port in PORTS.items()
    }


def read_cluster_id(spec: ClusterSpec) -> str:
    """Return the ClusterID that Liqo has made in a cluster; "" if there is none yet."""
    try:
        answer = api(spec, "GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/cluster-id")
        if answer.status != FOUND:
            return ""
        value: str = answer.json().get("data", {}).get("cluster-id", "")
    except (Fault, json.JSONDecodeError):
        return ""
    return value


def in_parallel(workers: int) -> ThreadPoolExecutor:
    """Return threads for work that mostly waits."""
    return ThreadPoolExecutor(max_workers=max(workers, 1), thread_name_prefix="lab")


def together(
    runner: Runner, work: Callable[[ClusterSpec], list[str]], specs: Sequence[ClusterSpec]
) -> list[list[str]]:
    """Do it for all clusters at once; the first failure, or Ctrl-C, ends the waiting of the others."""
    pool = in_parallel(len(specs))
    try:
        return list(pool.map(work, specs))
    except BaseException:
        runner.cancelled.set()
        raise
    finally:
        pool.shutdown(wait=True)
