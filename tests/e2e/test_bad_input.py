"""Every mistake of docs/reference/bad-input.md, made on two real clusters: the sentence is the one on that page."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e_peers import Peers, bad_input_rows
from liqo.errors import Refused

pytestmark = pytest.mark.lab

NAME = "bad"
REDIRECT = """
import http.server, ssl, sys
class Away(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "https://192.0.2.1/")
        self.end_headers()
    def log_message(self, *args): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server = http.server.HTTPServer((sys.argv[1], 7443), Away)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


ENTERED = bad_input_rows("When you enter a cluster")
SETTINGS = bad_input_rows("When you change the settings")


def spec_of(peers: Peers, mistake: str) -> dict[str, Any]:
    """Return the seed's ForeignCluster with one mistake in it."""
    milan, rome = peers.lab.cluster("milan"), peers.lab.cluster("rome")
    ids = {side: peers.id_of(side) for side in ("rome", "milan")}
    changes: dict[str, dict[str, Any]] = {
        "`apiUrl` is not https": {"apiUrl": f"http://{milan.host}:6443"},
        "`apiUrl` has a path": {"apiUrl": f"{milan.api_url}/k8s"},
        "`clusterID` is malformed": {"clusterID": "MILAN"},
        "neither `clusterID` nor `apiUrl`": {"clusterID": None, "apiUrl": None},
        "nobody is at the address": {"apiUrl": f"https://{nobody(peers)}:6443"},
        "the name does not resolve": {"apiUrl": "https://nowhere.example:6443"},
        "wrong port": {"apiUrl": f"https://{milan.host}:6444"},
        "no TLS there": {"apiUrl": f"https://{milan.host}:8080"},
        "not an API server": {"apiUrl": f"https://{milan.host}:9443"},
        "it redirects": {"apiUrl": f"https://{milan.host}:7443"},
        "our own API server": {"apiUrl": rome.api_url},
        "our own `clusterID`": {"clusterID": ids["rome"]},
        "a loopback address": {"apiUrl": "https://127.0.0.1:6443"},
        "a cloud's metadata service": {"apiUrl": "https://169.254.169.254:443"},
        "somebody else's `clusterID`": {"clusterID": "a" * 32},
        "a namespace without Liqo": {"namespace": "elsewhere"},
        "a CA that is not trusted": {"allowUntrustedCA": False},
        "clocks ten minutes apart": {},
    }
    spec = {
        "clusterID": ids["milan"],
        "join": True,
        "namespace": "liqo",
        "apiUrl": milan.api_url,
        "discoveryType": "Manual",
        "allowUntrustedCA": True,
        **changes[mistake],
    }
    return {key: value for key, value in spec.items() if value is not None}


def nobody(peers: Peers) -> str:
    """Return an address of the LAN that no host has."""
    return peers.lab.cluster("milan").host.rsplit(".", 1)[0] + ".199"


def plain(peers: Peers, text: str) -> str:
    """Return a sentence with names in place of what differs from lab to lab."""
    for name, value in (
        ("HOME", peers.lab.cluster("rome").host),
        ("FOREIGN", peers.lab.cluster("milan").host),
        ("NOBODY", nobody(peers)),
    ):
        text = re.sub(rf"{re.escape(value)}(?![0-9])", name, text)
    text = re.sub(r"\b(?!a{32})[a-z2-7]{32}\b", "ID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)


@contextmanager
def stage(peers: Peers, mistake: str) -> Iterator[None]:
    """Make the world as the mistake needs it."""
    if mistake == "it redirects":
        milan = peers.lab.cluster("milan")
        certificate = (str(milan.pki / "server.crt"), str(milan.pki / "server.key"))
        command = peers.lab.command("milan", [sys.executable, "-c", REDIRECT, milan.host, *certificate])
        with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                assert server.stdout.readline() == "ready\n"
                yield
            finally:
                server.kill()
    elif mistake == "clocks ten minutes apart":
        peers.lab.skew("rome", -600)
        try:
            yield
        finally:
            peers.lab.skew("rome", 0)
    else:
        yield


@pytest.mark.parametrize("mistake", ENTERED)
def test_a_cluster_entered_wrongly(peers: Peers, mistake: str) -> None:
    told_by, sentence = ENTERED[mistake]
    wire = {"apiVersion": "discovery.liqo.io/v1", "kind": "ForeignCluster", "metadata": {"name": NAME}}
    with stage(peers, mistake):
        manifest = json.dumps({**wire, "spec": spec_of(peers, mistake)})
        if told_by == "kubectl":
            with pytest.raises(Refused, match=re.escape(sentence)):
                peers.lab.kubectl("rome", "apply", "-f", "-", text=manifest)
            return
        peers.lab.kubectl("rome", "apply", "-f", "-", text=manifest)
        kind, reason = told_by.split()

        def told() -> Any:
            found = peers.get("rome", "fc", NAME).get("status", {}).get("conditions", [])
            return next(
                c for c in found if c["type"] == kind and c["status"] == "False" and c["reason"] == reason
            )

        assert sentence in plain(peers, peers.until(told)["message"])
        assert not peers.virtual_nodes("rome")
        peers.lab.kubectl("rome", "delete", "fc", NAME)


@pytest.mark.parametrize("mistake", SETTINGS)
def test_settings_that_cannot_be(peers: Peers, mistake: str) -> None:
    _, sentence = SETTINGS[mistake]
    patches = {
        "a percentage above 100": {"advertisementConfig": {"outgoing": {"resourceSharingPercentage": 200}}},
        "a policy that does not exist": {"peeringConfig": {"requestPolicy": "Sometimes"}},
        "`apiUrl` of our own is not https": {"discoveryConfig": {"apiUrl": "rome.example"}},
    }
    before = peers.get("rome", "clusterconfig", "clusterconfig")["spec"]
    if mistake == "a second ClusterConfig":
        wire = {"apiVersion": "policy.liqo.io/v1", "kind": "ClusterConfig", "metadata": {"name": "mine"}}
        command, text = ["create", "-f", "-"], json.dumps({**wire, "spec": {}})
    else:
        patch = json.dumps({"spec": patches[mistake]})
        command, text = ["patch", "clusterconfig", "clusterconfig", "--type", "merge", "-p", patch], ""
    with pytest.raises(Refused, match=re.escape(sentence)):
        peers.lab.kubectl("rome", *command, text=text)
    assert peers.get("rome", "clusterconfig", "clusterconfig")["spec"] == before
