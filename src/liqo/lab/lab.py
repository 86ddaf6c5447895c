"""The lab: clusters on this machine, their LAN, and what one does with them.

lab = Lab(Path("my-lab"))
lab.up(["rome", "milan"])
lab.kubectl("rome", "get", "nodes")
lab.down()
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from liqo.errors import Invalid, Refused
from liqo.lab import dns
from liqo.lab.build import NEWEST, Binaries, check_kubernetes, ensure_binaries
from liqo.lab.component import LIQO, LIQO_LAN, METRICS_PART, Component, liqo, liqo_lan
from liqo.lab.folder import default_folder, locked, remove
from liqo.lab.metrics import MetricsServer
from liqo.lab.naming import write_zone
from liqo.lab.network import Network
from liqo.lab.node_space import remove_cgroups
from liqo.lab.observe import component_of, components_of, observe_cluster
from liqo.lab.plane import Runner, in_parallel, together
from liqo.lab.process import end, find, marks
from liqo.lab.progress import Progress, Silent
from liqo.lab.real import REAL_PARTS
from liqo.lab.real_nodes import RealNodes
from liqo.lab.relaying import ports_of, sockets_for
from liqo.lab.settle import settle_network, with_cluster
from liqo.lab.spec import ClusterSpec, check_name, check_nodes
from liqo.lab.starting import start_planes
from liqo.lab.state import State, read_state, write_private, write_state
from liqo.lab.status import ClusterStatus, Command, Upped

__all__ = ["LIQO", "LIQO_LAN", "Lab"]  # the names of our components are used beside a Lab

DEFAULT_NAMES = ("rome", "milan")
# Nothing in a lab is reached through a proxy of the machine.
PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class Lab:
    """A lab in a folder. What runs is looked up each time, so two of these on one folder agree.

    Args:
        folder: where everything of it is kept; LIQO_LAB_DIR or .lab by default.
        progress: where it says what it does.
        kubernetes: the version of new clusters that ask for none, "1.31".
    """

    def __init__(
        self, folder: Path | None = None, *, progress: Progress | None = None, kubernetes: str = NEWEST
    ) -> None:
        self.folder = folder.resolve() if folder else default_folder(os.environ)
        self.progress = progress or Silent()
        self.kubernetes = check_kubernetes(kubernetes)

    def up(
        self,
        names: Sequence[str] = (),
        *,
        nodes: int | None = None,
        anonymous: bool | None = None,
        kubelet_ca: bool | None = None,
        kubernetes: str | None = None,
        real: bool | None = None,
        metrics: bool | None = None,
        liqo: bool | None = None,
        lan: bool | None = None,
        loopback: bool = False,
    ) -> Upped:
        """Bring clusters up, all at once; what runs already is left alone. Liqo itself is not started.

        Args:
            names: of the clusters; by default those that the lab has, or rome and milan.
            nodes: fake nodes in each; None: as it was, or 3, or none in a new one with a real node.
            anonymous: whether the API servers take anonymous requests; None: as it was, or yes.
            kubelet_ca: whether they talk only to kubelets with a certificate of the cluster's CA, as k3s has
                it; None: as it was, or no.
            kubernetes: which version they have, "1.31"; None: as it was, or the lab's own.
            real: whether each has a real node, on which pods really run; None: as it was, or no.
            metrics: whether metrics-server runs in each, for `kubectl top`; None: as it was, or no.
            liqo: whether Liqo belongs to these clusters; None: as it was, or yes.
            lan: whether a LAN agent belongs to them; None: as it was, or yes. On loopback there is none.
            loopback: a new lab uses loopback addresses even where a LAN could be made.

        Raises:
            Invalid: a name or number cannot be.
            Refused: only root can make real nodes.
            Unavailable: a program cannot be built, does not start, or dies.
        """
        for name in names:
            check_name(name)
        if nodes is not None:
            check_nodes(nodes)
        if kubernetes is not None:
            kubernetes = check_kubernetes(kubernetes)
        with locked(self.folder):
            state = settle_network(self.folder, self.progress, loopback=loopback)
            wanted = tuple(dict.fromkeys(names)) or tuple(state.clusters) or DEFAULT_NAMES
            created = tuple(name for name in wanted if name not in state.clusters)
            with ExitStack() as stack:
                sockets = {name: sockets_for(stack, state.mode) for name in created}
                for name in wanted:
                    new = self.kubernetes if name in created else None
                    ports = ports_of(sockets.get(name, {}))
                    state = with_cluster(
                        state,
                        name,
                        nodes=nodes,
                        anonymous=anonymous,
                        kubelet_ca=kubelet_ca,
                        kubernetes=new if kubernetes is None else kubernetes,
                        real=real,
                        metrics=metrics,
                        liqo=liqo,
                        lan=lan,
                        ports=ports,
                    )
                binaries = self._binaries(self.kubernetes if kubernetes is None else kubernetes)
                write_state(state)
                self.progress.doing(f"starting {', '.join(wanted)}")
                started = start_planes(self._runner(state, binaries), state, wanted, sockets)
        return Upped(created=created, started=started)

    def down(self) -> bool:
        """End every process of the lab and delete its folder; return False if there was nothing.

        Works after any of it was killed: it goes by what runs, not by what was written down.

        Raises:
            Refused: the folder is not a lab's; the processes are ended all the same.
            Unavailable: a process cannot be killed.
        """
        found = bool(find(self.folder)) or self.folder.exists()
        # An API server without etcd would wait for it; with -9 it does not.
        end([r for r in find(self.folder) if r.part == "kube-apiserver"], self.folder, term_seconds=0)
        while left := find(self.folder):
            end(left, self.folder, term_seconds=0)
        remove_cgroups(self.folder)
        remove(self.folder)
        return found

    def status(self) -> tuple[ClusterStatus, ...]:
        """Return every cluster with its components."""
        state = read_state(self.folder)
        if state is None:
            return ()
        processes = find(self.folder)
        specs = list(state.clusters.values())
        with in_parallel(len(specs)) as pool:
            return tuple(pool.map(lambda spec: observe_cluster(spec, processes), specs))

    def cluster(self, name: str) -> ClusterSpec:
        """Return one cluster's addresses, folders and options.

        Raises:
            Invalid: there is none of that name.
        """
        return self._state().cluster(name)

    def names(self) -> tuple[str, ...]:
        """Return the clusters of the lab."""
        state = read_state(self.folder)
        return tuple(state.clusters) if state else ()

    def is_running(self, name: str, component: str) -> bool:
        """Say whether a component runs."""
        return any(r.cluster == name and r.part == component for r in find(self.folder))

    def start(
        self,
        name: str,
        component: str | None = None,
        *,
        extra_args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Start one component, or all of a cluster, and wait until ready; return what had to be started.

        Args:
            name: of the cluster.
            component: as `status` names it; None: all. One of a real node brings the node's others too.
            extra_args: further arguments of `liqo controller`.
            env: its further environment.

        Raises:
            Refused: Liqo was never installed there.
            Unavailable: it dies, or does not become ready.
        """
        with locked(self.folder):
            state = self._state()
            spec = state.cluster(name)
            runner = self._runner(state)
            if spec.real and component in REAL_PARTS:
                return RealNodes.ready(runner).start(spec)
            if spec.metrics and component == METRICS_PART:
                return MetricsServer.ready(runner).start(spec)
            if component is not None:
                wanted = component_of(spec, component, extra_args=extra_args, env=env)
                return self._start_one(runner, spec, wanted)
            started = start_planes(runner, state, (name,))[name]
            if spec.liqo and spec.controller_kubeconfig.exists():
                started += tuple(self._start_one(runner, spec, liqo(spec, extra_args=extra_args, env=env)))
            if spec.has_agent and spec.agent_kubeconfig.exists():
                started += tuple(self._start_one(runner, spec, liqo_lan(spec)))
            return list(started)

    def start_liqo(self, names: Sequence[str]) -> None:
        """Start Liqo in clusters where it is installed, all at once, and wait until it is ready.

        Raises:
            Refused: Liqo was never installed in one.
            Unavailable: it dies, or does not become ready.
        """
        with locked(self.folder):
            state = self._state()
            runner = self._runner(state)
            specs = [state.cluster(name) for name in names]
            together(runner, lambda spec: self._start_one(runner, spec, liqo(spec)), specs)
            agents = [spec for spec in specs if spec.has_agent]
            together(runner, lambda spec: self._start_one(runner, spec, liqo_lan(spec)), agents)

    def stop(self, name: str, component: str | None = None) -> list[str]:
        """Stop one component, or all of a cluster; return what ran. Its network and its data stay."""
        with locked(self.folder):
            state = self._state()
            spec = state.cluster(name)
            chosen = components_of(spec) if component is None else (component_of(spec, component),)
            return self._runner(state).stop(name, chosen)

    def kill(self, name: str, component: str) -> None:
        """Kill a component with -9, as a crash would."""
        spec = self.cluster(name)
        component_of(spec, component)
        ours = [r for r in find(self.folder) if r.cluster == name and r.part == component]
        end(ours, self.folder, term_seconds=0)

    def command(self, name: str, argv: Sequence[str]) -> Command:
        """Return how to run a program in a cluster's network, with KUBECONFIG, the matching kubectl, and liqo."""
        state = self._state()
        spec = state.cluster(name)
        binaries = self._binaries()
        folders = dict.fromkeys((binaries[spec.kubernetes].folder, binaries[NEWEST].folder))
        inherited = {key: value for key, value in os.environ.items() if key.lower() not in PROXIES}
        env = {
            **inherited,
            **marks(self.folder, name, "exec"),
            "KUBECONFIG": str(spec.lan_kubeconfig),
            "PS1": f"{name}$ ",  # of a shell: several may be open side by side
            "PATH": os.pathsep.join(
                (
                    *(str(folder / "bin") for folder in folders),
                    os.environ.get("PATH", os.defpath),
                    str(Path(sys.executable).parent),  # last: a person's own python stays his
                )
            ),
        }
        return Command([*Network(self.folder, state.mode).enter(name), *argv], env)

    def exec(
        self, name: str, argv: Sequence[str], *, text: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a cluster's network to its end and return what it said.

        Args:
            name: of the cluster.
            argv: the program; `kubectl` is the lab's own.
            text: its standard input.
            timeout: seconds; subprocess.TimeoutExpired after it.
        """
        command = self.command(name, argv)
        return subprocess.run(
            command.argv,
            env=command.env,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kubectl(self, name: str, *args: str, text: str | None = None) -> str:
        """Run kubectl as the cluster's administrator and return what it prints.

        Raises:
            Refused: it fails; the message is what it said.
        """
        done = self.exec(name, ("kubectl", *args), text=text)
        if done.returncode:
            raise Refused(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def partition(self, name: str, other: str) -> None:
        """Cut two clusters off from each other: nothing passes, and nobody is told.

        Raises:
            Refused: the lab has no LAN.
        """
        network, index, peer = self._two(name, other)
        network.partition(index, peer)

    def heal(self, name: str, other: str) -> None:
        """End a partition; without one nothing happens."""
        network, index, peer = self._two(name, other)
        network.heal(index, peer)

    def skew(self, name: str, seconds: float) -> bool:
        """Set how far the clock of a cluster's Liqo is ahead; return whether it was started again for it."""
        with locked(self.folder):
            state = self._state()
            spec = replace(state.cluster(name), skew=seconds)
            write_state(state.having(spec))
            runner = self._runner(state)
            if not (running := runner.running(name, LIQO)):
                return False
            end([running], self.folder)
            self._start_one(runner, spec, liqo(spec))
            return True

    def log(self, name: str, component: str) -> Path:
        """Return the log of a component; `relay` is one here too."""
        spec = self.cluster(name)
        if component != "relay":
            component_of(spec, component)
        return spec.log(component)

    def name_server(self) -> tuple[str, int]:
        """Return address and port of the lab's name server, on the LAN; its zone is `lab.`."""
        state = self._state()
        return dns.address(state.subnet, state.mode)

    def set_records(self, records: str) -> None:
        """Put further records into the zone, in zone-file syntax; they stay until set anew.

        The name server takes notice within two seconds.
        """
        with locked(self.folder):
            state = self._state()
            write_private(self.folder / dns.FOLDER / dns.RECORDS_FILE, records)
            state = replace(state, serial=state.serial + 1)
            write_state(state)
            write_zone(state)

    # --- inside

    def _state(self) -> State:
        state = read_state(self.folder)
        if state is None:
            raise Invalid(f"no lab in {self.folder}", hint="liqo lab up, or set LIQO_LAB_DIR to where it is")
        return state

    def _binaries(self, further: str = NEWEST) -> dict[str, Binaries]:
        """Return the programs of each Kubernetes in this lab, and of one more; built first if need be."""
        state = read_state(self.folder)
        known = {spec.kubernetes for spec in state.clusters.values()} if state else set()
        return {each: ensure_binaries(self.progress, each) for each in sorted({NEWEST, further, *known})}

    def _runner(self, state: State, binaries: Mapping[str, Binaries] | None = None) -> Runner:
        network = Network(self.folder, state.mode)
        return Runner(self.folder, network, binaries or self._binaries(), self.progress)

    def _two(self, name: str, other: str) -> tuple[Network, int, int]:
        state = self._state()
        if name == other:
            raise Invalid("a cluster cannot be cut off from itself", hint="name two of them")
        return Network(self.folder, state.mode), state.cluster(name).index, state.cluster(other).index

    def _start_one(self, runner: Runner, spec: ClusterSpec, component: Component) -> list[str]:
        if component.name == LIQO and not spec.controller_kubeconfig.exists():
            raise Refused(f"Liqo is not installed in {spec.name}", hint=f"liqo lab up {spec.name} --liqo")
        if component.name == LIQO_LAN and not spec.agent_kubeconfig.exists():
            raise Refused(f"Liqo is not installed in {spec.name}", hint=f"liqo lab up {spec.name} --liqo")
        before = runner.running(spec.name, component.name)
        process = runner.start(spec.name, spec.folder, component, spec.log(component.name))
        runner.wait(spec, component, process)
        return [] if process == before else [component.name]
