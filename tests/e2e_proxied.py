"""Two real clusters whose controllers reach both API servers through a proxy of ours (`api_proxy.py`) only."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e_peers import Peers
from liqo.app.demo import MANIFEST, fill
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import LIQO, Lab
from liqo.lab.pki import Pair, load_pair, make_server
from liqo.lab.process import find
from liqo.lab.pytest_plugin import Eventually, LabFactory
from liqo.lab.spec import ClusterSpec

PROXY = Path(__file__).with_name("api_proxy.py")
FRONTS = {"rome": 201, "milan": 202}  # where the proxy stands for each, in the LAN's network


@dataclass(frozen=True)
class Point:
    """A write at which somebody is killed."""

    write: str = ""  # verb and resource
    at: int = 0  # which of them, from 1
    after: bool = False


LIVE = Point()


@dataclass
class Behind:
    """Two peers whose controllers reach both API servers through the proxy only."""

    peers: Peers
    proxy: subprocess.Popen[str]
    fronts: dict[str, str]  # address, by side
    folder: Path  # of the proxy's certificates

    def tell(self, **order: Any) -> tuple[list[str], bool]:
        """Give an order, or none; return the writes since the last, and whether the client was killed."""
        assert self.proxy.stdin
        assert self.proxy.stdout
        self.proxy.stdin.write(json.dumps(order) + "\n")
        self.proxy.stdin.flush()
        said = json.loads(self.proxy.stdout.readline())
        return said["writes"], said["killed"]

    def watch(self, victim: str, point: Point = LIVE, *, dies: tuple[str, str] | None = None) -> None:
        """Count one controller's writes from now on, and kill it at one; or, of a side, the program that `dies`."""
        spec = self.peers.lab.cluster(victim)
        own = list(self.fronts.values()) if victim == "rome" else []  # the proxy is on rome's host
        self.tell(clients=[spec.host, *own], pid=self.pid(*(dies or (victim, LIQO))), **asdict(point))

    def pid(self, side: str, part: str) -> int:
        (running,) = (r for r in find(self.peers.lab.folder) if r.cluster == side and r.part == part)
        return running.pid

    def restart(self, side: str) -> None:
        """Start a killed controller again, with its lease ended as if its fifteen seconds were over."""
        self.peers.lab.kubectl(side, "delete", "lease", "liqo-controller", "-n", "liqo", "--ignore-not-found")
        self.peers.lab.start(side, LIQO)

    def manifest(self) -> str:
        """Return the seed's ForeignCluster for milan, by way of the proxy."""
        peers = self.peers
        milan = peers.lab.cluster("milan")
        front = f"https://{self.fronts['milan']}:7443"
        return fill(MANIFEST, peers.id_of("milan"), milan).replace(milan.api_url, front)


def issue(spec: ClusterSpec, host: str, folder: Path, ca: Pair | None = None) -> None:
    """Write a certificate of a CA, the cluster's own by default, for the proxy that stands before its API server."""
    pair = make_server(ca or load_pair(spec.pki, "ca"), "proxy", ("kubernetes.default.svc", host))
    (folder / f"{host}.key").write_text(pair.key_pem)
    (folder / f"{host}.crt").write_text(pair.certificate_pem)
    (folder / f"{host}.accounts.key").write_bytes((spec.pki / "accounts.key").read_bytes())


@contextmanager
def behind_proxy(lab: Lab, eventually: Eventually, folder: Path) -> Iterator[Behind]:
    """Bring both clusters up, and the proxy on rome's host, and have both controllers use nothing else."""
    up_with_liqo(lab, tuple(FRONTS), liqo=True, lan=False)
    peers = Peers(lab, eventually)
    network = lab.cluster("rome").host.rpartition(".")[0]
    fronts = {side: f"{network}.{last}" for side, last in FRONTS.items()}
    for side, front in fronts.items():
        lab.exec("rome", ("ip", "address", "add", f"{front}/24", "dev", "eth0"))
        issue(lab.cluster(side), front, folder)
    routes = [f"{front}={lab.cluster(side).api_url}" for side, front in fronts.items()]
    command = lab.command("rome", (sys.executable, str(PROXY), str(folder), *routes))
    with subprocess.Popen(
        command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as proxy:
        try:
            assert proxy.stdout
            assert proxy.stdout.readline() == "ready\n"
            for side, front in fronts.items():
                use(peers, side, f"https://{front}:7443")
            yield Behind(peers, proxy, fronts, folder)
        finally:
            proxy.kill()


@pytest.fixture(scope="module")
def behind(
    lab_factory: LabFactory, eventually: Eventually, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    """The two behind the proxy, for the tests of one file."""
    with behind_proxy(lab_factory(), eventually, tmp_path_factory.mktemp("proxy")) as made:
        yield made


def use(peers: Peers, side: str, url: str) -> None:
    """Have a controller reach its API server at `url`, and tell others that one."""
    peers.lab.stop(side, LIQO)
    file = peers.lab.cluster(side).controller_kubeconfig
    config = yaml.safe_load(file.read_text())
    config["clusters"][0]["cluster"]["server"] = url
    file.write_text(yaml.safe_dump(config))
    peers.configure(side, "discoveryConfig", apiUrl=url)
    peers.lab.start(side, LIQO)
