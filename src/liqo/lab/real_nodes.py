"""Starts the real nodes of a lab, and leads packets between the pods of its clusters."""

from dataclasses import dataclass
from pathlib import Path

from liqo.errors import Unavailable
from liqo.lab import dns
from liqo.lab.build import NODE, Binaries, ensure_node_binaries
from liqo.lab.client import api
from liqo.lab.debian import NODE_PACKAGES, ensure_packages, library_path
from liqo.lab.node_space import check_folder, ensure_images, prepare_node
from liqo.lab.plane import CREATED, FOUND, READY_SECONDS, Runner
from liqo.lab.progress import Progress
from liqo.lab.real import forge_objects, real_components, tools_env
from liqo.lab.spec import ClusterSpec
from liqo.lab.state import State
from liqo.lab.wait import until
from liqo.lab.watchers import check_watchers


def ensure_node(progress: Progress) -> tuple[Binaries, Path]:
    """Return the programs of a real node and the folder of its tools, built and fetched first if need be.

    Raises:
        Unavailable: they cannot be had.
    """
    return ensure_node_binaries(progress), ensure_packages(progress, NODE, NODE_PACKAGES)


@dataclass(frozen=True, slots=True)
class RealNodes:
    """Starts real nodes with programs that are all there."""

    runner: Runner
    tools: Path  # where Debian's packages are unpacked

    @classmethod
    def ready(cls, runner: Runner) -> "RealNodes":
        """Return it with the programs of a node built and fetched.

        Raises:
            Refused: the lab's folder is where a node has something of its own.
            Unavailable: they cannot be had.
        """
        check_folder(runner.folder)
        programs, tools = ensure_node(runner.progress)
        runner.binaries = {**runner.binaries, NODE: programs}
        return cls(runner, tools)

    def start(self, spec: ClusterSpec) -> list[str]:
        """Start what of a node does not run, wait until it is Ready; return what had to be started.

        Raises:
            Unavailable: a program ends, or the node does not become Ready.
        """
        if not self.runner.running(spec.name, "kubelet"):
            check_watchers(self.runner.progress)
        libraries = library_path(self.tools)
        prepare_node(spec, self.tools)
        held, runtime, *others = real_components(spec, self.tools, libraries)
        started = self.runner.start_all(spec, (held, runtime))
        ensure_images(self.runner.folder, spec, self.tools, tools_env(spec, self.tools, libraries))
        for path, value in forge_objects(spec):
            if api(spec, "GET", f"{path}/{value['metadata']['name']}").status == FOUND:
                continue
            answer = api(spec, "POST", path, value)
            if answer.status != CREATED:
                raise Unavailable(f"{spec.name}: no {value['kind']}: {answer.body.decode()}")
        started += self.runner.start_all(spec, others)
        if not until(lambda: is_node_ready(spec), seconds=READY_SECONDS, cancelled=self.runner.cancelled):
            raise Unavailable(
                f"{spec.name}: node {spec.real_node} is not Ready after {READY_SECONDS:.0f} s",
                hint=f"liqo lab logs {spec.name} kubelet",
            )
        return started


def is_node_ready(spec: ClusterSpec) -> bool:
    """Say whether the real node of a cluster is Ready."""
    answer = api(spec, "GET", f"/api/v1/nodes/{spec.real_node}")
    if answer.status != FOUND:
        return False
    conditions = answer.json()["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def ensure_routes(runner: Runner, state: State) -> None:
    """Lead what is for pods of one cluster there, from every host of the lab; nothing is masqueraded."""
    hosts = [spec for spec in state.clusters.values() if runner.network.has_host(spec.name)]
    ways = {spec.pod_cidr: spec.host for spec in hosts if spec.real}
    if not ways:
        return
    for spec in hosts:
        runner.network.route(spec.name, {cidr: via for cidr, via in ways.items() if via != spec.host})
    runner.network.route(dns.HOST, ways)
