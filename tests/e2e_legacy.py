"""Two real clusters, of which milan's id is a UUID that its operator wrote down before the first start."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e_peers import Peers
from liqo.app.demo import MANIFEST, fill
from liqo.app.lab import up_with_liqo
from liqo.lab.lab import Lab
from liqo.lab.pki import make_ca, make_server
from liqo.lab.pytest_plugin import Eventually, LabFactory

UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"
ATTACKER = Path(__file__).with_name("man_in_the_middle.py")
LAST = 203  # of his address on the LAN

CONFIG_MAP = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: cluster-id, namespace: liqo}}
data: {{cluster-id: {UUID}}}
"""


@pytest.fixture(scope="session")
def legacy_pair(lab_factory: LabFactory) -> Lab:
    lab = lab_factory()
    lab.up(("rome", "milan"), lan=False)
    lab.kubectl("milan", "create", "namespace", "liqo")
    lab.kubectl("milan", "apply", "-f", "-", text=CONFIG_MAP)
    up_with_liqo(lab, ("rome", "milan"), lan=False)
    return lab


@pytest.fixture
def legacy(legacy_pair: Lab, eventually: Eventually) -> Peers:
    """Rome and milan without any peering between them, and without a memory of one."""
    found = Peers(legacy_pair, eventually)
    found.part()
    return found


def liqo(peers: Peers, side: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does, with that cluster's kubeconfig."""
    config = str(peers.lab.cluster(side).kubeconfig)
    argv = [sys.executable, "-m", "liqo", *args, "--kubeconfig", config]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)


@dataclass
class Attacker:
    """A man between a home cluster and the API server of `foreign`."""

    peers: Peers
    foreign: str
    front: str  # where he listens
    ca_pem: str  # his own
    process: subprocess.Popen[str]

    def tell(self, **order: str) -> list[Any]:
        """Give an order, or none; return what he got since the last mode."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        got: list[Any] = json.loads(self.process.stdout.readline())["got"]
        return got

    def join_by_way_of_him(self, home: str) -> None:
        """Apply the seed's ForeignCluster, with his address for the other's API server."""
        spec = self.peers.lab.cluster(self.foreign)
        manifest = fill(MANIFEST, self.peers.id_of(self.foreign), spec).replace(spec.api_url, self.front)
        self.peers.lab.kubectl(home, "apply", "-f", "-", text=manifest)


@contextmanager
def attacker(peers: Peers, home: str, foreign: str, folder: Path) -> Iterator[Attacker]:
    """Put a man on the host of `home`, before the API server of `foreign`."""
    lab = peers.lab
    host = f"{lab.cluster(home).host.rpartition('.')[0]}.{LAST}"
    lab.exec(home, ("ip", "address", "add", f"{host}/24", "dev", "eth0"))
    ca = make_ca("milan CA")
    pair = make_server(ca, "kube-apiserver", ("kubernetes.default.svc", host))
    (folder / "ca.crt").write_text(ca.certificate_pem)
    (folder / f"{host}.crt").write_text(pair.certificate_pem)
    (folder / f"{host}.key").write_text(pair.key_pem)
    url = lab.cluster(foreign).api_url
    command = lab.command(home, (sys.executable, str(ATTACKER), str(folder), host, url))
    with subprocess.Popen(
        command.argv, env=command.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            he = Attacker(peers, foreign, f"https://{host}:7443", ca.certificate_pem, process)
            yield he
            he.tell(mode="away")
            peers.part()  # in good order, which takes a way to the other
        finally:
            process.kill()
            lab.exec(home, ("ip", "address", "del", f"{host}/24", "dev", "eth0"))
