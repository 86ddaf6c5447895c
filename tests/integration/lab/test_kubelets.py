"""An API server that checks its kubelets (`--kubelet-certificate-authority`), as k3s starts it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from liqo.errors import Refused
from liqo.lab.lab import Lab
from liqo.lab.pki import make_ca, make_server
from liqo.lab.pytest_plugin import Eventually, LabFactory

pytestmark = pytest.mark.lab

PORT = 10260
# A kubelet of nobody's cluster: it answers every request with the same log.
IMPOSTOR = """
import http.server, ssl, sys
class Kubelet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"an impostor says hello\\n")
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Kubelet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[3], sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"""


def node(host: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "impostor"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": host}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": PORT}},
        },
    }


def pod(name: str, node_name: str) -> str:
    spec = {"nodeName": node_name, "containers": [{"name": "main", "image": "fake"}]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def strict(lab: LabFactory) -> Lab:
    """Rome, whose API server checks kubelets."""
    made = lab()
    made.up(["rome"], nodes=1, kubelet_ca=True, liqo=False)
    return made


@pytest.fixture
def logs(strict: Lab, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Read the log of a pod in rome; beside kwok's own node there is an impostor's."""
    host = strict.cluster("rome").host
    pair = make_server(make_ca("nobody's CA"), "kubelet", (host,))
    (tmp_path / "kubelet.crt").write_text(pair.certificate_pem)
    (tmp_path / "kubelet.key").write_text(pair.key_pem)
    files = [str(tmp_path / "kubelet.crt"), str(tmp_path / "kubelet.key")]
    command = strict.command("rome", [sys.executable, "-c", IMPOSTOR, host, str(PORT), *files])
    with subprocess.Popen(
        command.argv, env=command.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "listening\n"
            strict.kubectl("rome", "create", "-f", "-", text=json.dumps(node(host)))
            for name, where in (("kwok", "rome-node-1"), ("impostor", "impostor")):
                strict.kubectl("rome", "-n", "default", "create", "-f", "-", text=pod(name, where))
            yield lambda name: strict.kubectl("rome", "-n", "default", "logs", name)
        finally:
            process.kill()


def test_only_kubelets_of_the_cluster_s_own_ca_are_asked_for_logs(
    strict: Lab, logs: Callable[[str], str], eventually: Eventually
) -> None:
    eventually(lambda: logs("kwok") == "a fake pod of rome says hello\n")
    with pytest.raises(Refused, match="unknown authority"):
        logs("impostor")

    assert strict.up(["rome"]).started == {"rome": ()}, "it stays as it was"
    assert strict.up(["rome"], kubelet_ca=False).started == {"rome": ("kube-apiserver",)}
    eventually(lambda: logs("kwok") == "a fake pod of rome says hello\n")
    eventually(lambda: logs("impostor") == "an impostor says hello\n")
