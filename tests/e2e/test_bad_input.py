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
from e2e_stranger import Stranger
from liqo.api.names import TRUSTED_CA_CONFIG_MAP, WELL_KNOWN_CONFIG_MAP
from liqo.errors import Refused

pytestmark = pytest.mark.lab

NAME = "bad"
ANSWER = """
import http.server, ssl, sys
host, certificate, key, status, location, body = sys.argv[1:]
class Same(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(status))
        self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *args): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.HTTPServer((host, 7443), Same)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("ready", flush=True)
server.serve_forever()
"""


SKEWS = {"our clock ten minutes behind": -600, "our clock ten minutes ahead": 600}
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
        "nobody is at the address": {"apiUrl": f"https://{peers.nobody()}:6443"},
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
        "a CA that does not match the certificate": {"apiUrl": f"https://{milan.host}:7443"},
        "others do not reach our API server where we say that it is": {},
        "our clock ten minutes behind": {},
        "our clock ten minutes ahead": {},
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


@contextmanager
def stage(peers: Peers, mistake: str) -> Iterator[None]:
    """Make the world as the mistake needs it."""
    if mistake == "it redirects":
        with answering(peers, "milan", "302", location="https://192.0.2.1/"):
            yield
    elif mistake == "a CA that does not match the certificate":
        document = peers.get("milan", "cm", WELL_KNOWN_CONFIG_MAP, "-n", "liqo")
        with answering(peers, "rome", "200", body=json.dumps(document)):
            yield
    elif mistake == "others do not reach our API server where we say that it is":
        peers.configure("rome", "discoveryConfig", apiUrl=f"https://{peers.nobody()}:6443")
        try:
            yield
        finally:
            peers.configure("rome", "discoveryConfig", apiUrl=None)
    elif mistake in SKEWS:
        peers.lab.skew("rome", SKEWS[mistake])
        peers.lab.kubectl("milan", "delete", "cm", WELL_KNOWN_CONFIG_MAP, "-n", "liqo")  # signed anew, now
        try:
            yield
        finally:
            peers.lab.skew("rome", 0)
    else:
        yield


@contextmanager
def answering(
    peers: Peers, certificate_of: str, status: str, *, location: str = "", body: str = ""
) -> Iterator[None]:
    """Have somebody on milan's host answer the same to everything, with the certificate of a cluster."""
    milan, pki = peers.lab.cluster("milan"), peers.lab.cluster(certificate_of).pki
    argv = [milan.host, str(pki / "server.crt"), str(pki / "server.key"), status, location, body]
    command = peers.lab.command("milan", [sys.executable, "-c", ANSWER, *argv])
    with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            yield
        finally:
            server.kill()


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
            (said,) = (
                c for c in found if c["type"] == kind and c["status"] != "True" and c["reason"] == reason
            )
            assert sentence in peers.plain(said["message"])
            return said

        peers.until(told)
        assert not peers.virtual_nodes("rome")
        peers.lab.kubectl("rome", "delete", "fc", NAME)


@pytest.mark.parametrize("mistake", [row for row in SETTINGS if SETTINGS[row][0] == "kubectl"])
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


def set_certificate(peers: Peers, text: str | None) -> None:
    """Put a text into rome's trusted-ca-certificates, or take it out."""
    patch = json.dumps({"data": {"milan": text}})
    peers.lab.kubectl(
        "rome", "patch", "cm", TRUSTED_CA_CONFIG_MAP, "-n", "liqo", "--type", "merge", "-p", patch
    )


def is_told_of_the_certificate(peers: Peers) -> bool:
    told_by, sentence = SETTINGS["a bad certificate in `trusted-ca-certificates`"]
    reason = told_by.removeprefix("event ")
    events = peers.items("rome", "events", "-n", "liqo", "--field-selector", f"reason={reason}")
    return any(e["message"].startswith(sentence) for e in events)


def test_a_bad_certificate_is_told_as_an_event(peers: Peers) -> None:
    set_certificate(peers, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    try:
        peers.until(lambda: is_told_of_the_certificate(peers))
    finally:
        set_certificate(peers, None)


def bad_clusters(peers: Peers) -> dict[str, dict[str, Any]]:
    """Return ForeignClusters that are wrong beside one for milan that is right, by the mistake."""
    stated = {mistake for mistake, (told_by, _) in ENTERED.items() if told_by != "kubectl"}
    staged = {
        "it redirects",
        "a CA that does not match the certificate",
        "others do not reach our API server where we say that it is",
        *SKEWS,
    }
    found = {mistake: spec_of(peers, mistake) for mistake in sorted(stated - staged)}
    for number, spec in enumerate(found.values()):
        if spec["clusterID"] == peers.id_of("milan"):
            spec["clusterID"] = chr(ord("b") + number) * 32  # or it would be milan a second time
    return found


async def test_nothing_else_stops_while_bad_objects_stand(peers: Peers, stranger: Stranger) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    wire = {"apiVersion": "discovery.liqo.io/v1", "kind": "ForeignCluster"}
    bad: list[dict[str, Any]] = [
        {**wire, "metadata": {"name": f"bad-{number}"}, "spec": spec}
        for number, spec in enumerate(bad_clusters(peers).values())
    ]
    peers.lab.kubectl(
        "rome", "apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": bad})
    )
    set_certificate(peers, "no certificate")
    await stranger.post(stranger.request())

    def are_told() -> bool:
        found = {fc["metadata"]["name"]: fc.get("status", {}) for fc in peers.items("rome", "fc")}
        told = [find(found[fc["metadata"]["name"]], "Requested") for fc in bad]
        return all(status == "False" for status in told)

    try:
        peers.until(are_told)
        peers.until(lambda: peers.is_ready("rome"))
        peers.until(lambda: peers.condition("rome", "NodeReady") == ("True", "Ready"))
        peers.configure("milan", "advertisementConfig", outgoing={"resourceSharingPercentage": 50})
        peers.until(lambda: peers.virtual_nodes("rome")[0]["status"]["allocatable"]["cpu"] == "6")
        peers.set_join("rome", join=False)  # and the good one is ended in good order among them
        peers.until(lambda: not peers.virtual_nodes("rome"))
        peers.until(lambda: not peers.items("milan", "namespaces", "-l", "liqo.io/cluster-id"))
    finally:
        peers.configure("milan", "advertisementConfig", outgoing={"resourceSharingPercentage": 30})
        set_certificate(peers, None)


def find(status: dict[str, Any], kind: str) -> str:
    """Return whether a condition is true; "" for one that is not there."""
    return next((str(c["status"]) for c in status.get("conditions", ()) if c["type"] == kind), "")
