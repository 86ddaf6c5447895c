"""Credentials that are hostile in every way of docs/reference/bad-input.md, sealed and sent to real clusters."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e_peers import Peers, bad_input_rows
from e2e_stranger import CLOCK, Stranger, credentials, seal_by_hand
from liqo.api.meta import format_time
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.app.demo import NAME
from liqo.identity.document import parse_document
from liqo.lab.lab import LIQO, Lab
from liqo.lab.pki import make_ca
from liqo.lab.pytest_plugin import Eventually

pytestmark = pytest.mark.lab

CONTENT = bad_input_rows("When another cluster's credentials are bad")
CALLED = bad_input_rows("When another cluster's address does not lead there")
SEALED = "credentials sealed for another cluster"
OPEN = "credentials that are not sealed"
LATER = timedelta(minutes=10)


@pytest.fixture(scope="module")
def apart(liqo_pair: Lab, eventually: Eventually) -> Peers:
    """Two clusters without any peering; no row here makes one."""
    found = Peers(liqo_pair, eventually)
    found.part()
    return found


def hostile(peers: Peers, marker: Path) -> dict[str, dict[str, Any] | bytes]:
    """Return what is sealed in each row; a program that would run makes the file `marker`."""
    run = {"command": "touch", "args": [str(marker)], "apiVersion": "client.authentication.k8s.io/v1"}
    gcp = {"name": "gcp", "config": {"cmd-path": "touch", "cmd-args": str(marker)}}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "x", "user": {"exec": run}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    return {
        "a whole kubeconfig that runs a program (`exec`)": kubeconfig,
        "`exec` beside the four values": credentials(exec=run),
        "an `auth-provider` that runs a program": credentials(**{"auth-provider": gcp}),
        "an `auth-provider` with an issuer to ask": credentials(
            **{"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "https://192.0.2.1"}}}
        ),
        "`tokenFile`, our own token's": credentials(
            tokenFile="/var/run/secrets/kubernetes.io/serviceaccount/token"
        ),
        "`client-certificate` and `client-key`, files of ours": credentials(
            **{"client-certificate": "/etc/kubernetes/pki/x.crt", "client-key": "/etc/kubernetes/pki/x.key"}
        ),
        "`certificate-authority`, a file": credentials(**{"certificate-authority": "/etc/passwd"}),
        "`insecure-skip-tls-verify`": credentials(**{"insecure-skip-tls-verify": True}),
        "`proxy-url`": credentials(**{"proxy-url": "http://192.0.2.1:3128"}),
        "`tls-server-name`": credentials(**{"tls-server-name": "attacker.example"}),
        "`as`, another user": credentials(**{"as": "system:admin"}),
        "YAML": b"server: https://192.0.2.1:6443\ntoken: a.b.c\nnamespace: liqo\n",
        "YAML that grows without end": b"a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\n",
        "a server without TLS": credentials(server="http://192.0.2.1:6443"),
        "the metadata service without TLS": credentials(server="http://169.254.169.254/latest/meta-data"),
        "a user in the URL": credentials(server="https://kubernetes.default.svc@192.0.2.1:6443"),
        "a path in the URL": credentials(server="https://192.0.2.1:6443/api/v1/nodes"),
        "a loopback address in one number": credentials(server="https://2130706433:6443"),
        "a loopback address": credentials(server="https://127.0.0.1:6443"),
        "a loopback address in IPv6": credentials(server="https://[::ffff:127.0.0.1]:6443"),
        "the metadata service": credentials(server="https://169.254.169.254"),
        "our own API server": credentials(server=peers.lab.cluster("milan").api_url),
        "a CA that is no certificate": credentials(**{"certificate-authority-data": "/etc/passwd"}),
        "a second header in the token": credentials(token="a\r\nImpersonate-User: root"),
        "a namespace with a path": credentials(namespace="../../nodes"),
    }


def called(peers: Peers) -> dict[str, dict[str, Any]]:
    """Return the credentials of each row that shows when the address is called."""
    rome = peers.lab.cluster("rome")
    authority, another = (rome.pki / "ca.crt").read_text(), make_ca("another").certificate_pem

    def at_rome(ca: str, token: str) -> dict[str, Any]:
        data = base64.b64encode(ca.encode()).decode()
        return credentials(**{"server": rome.api_url, "certificate-authority-data": data, "token": token})

    return {
        "a name that leads to a loopback address": credentials(server="https://localhost:6443"),
        "an address at which nobody is": credentials(server=f"https://{peers.nobody()}:6443"),
        "a CA that did not sign the certificate there": at_rome(another, "a.b.c"),
        "a token that is not taken there": at_rome(authority, "a.b.c"),
        "another cluster's address, CA and token": at_rome(
            authority, peers.lab.kubectl("rome", "create", "token", "default", "-n", "liqo").strip()
        ),
    }


def refusal(peers: Peers, sentence: str) -> Callable[[], bool]:
    """Return a look at whether the one request on milan is told to have failed with that sentence."""

    def is_told() -> bool:
        (request,) = peers.items("milan", "fr", "-n", "liqo")
        assert request["status"]["reason"] == "CallBackFailed"
        assert sentence in peers.plain(request["status"]["message"])
        return True

    return is_told


async def check(peers: Peers, stranger: Stranger, sealed: str, sentence: str) -> None:
    """Send credentials, and look that they are refused with that sentence and that nothing is made of them."""
    await stranger.post(stranger.request(sealed=sealed))
    peers.until(refusal(peers, sentence))
    assert peers.items("milan", "fc") == []
    assert peers.items("milan", "namespaces", "-l", "liqo.io/cluster-id") == []
    peers.lab.kubectl("milan", "delete", "fr", "--all", "-n", "liqo")


@pytest.mark.parametrize("what", [row for row in CONTENT if row not in {SEALED, OPEN}])
async def test_credentials_that_are_bad(apart: Peers, stranger: Stranger, what: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    made = hostile(apart, marker)[what]
    plain = made if isinstance(made, bytes) else json.dumps(made).encode()
    await check(apart, stranger, stranger.seal(plain), CONTENT[what][0])
    assert not marker.exists()


@pytest.mark.parametrize("what", [OPEN, SEALED])
async def test_credentials_that_cannot_be_opened(apart: Peers, stranger: Stranger, what: str) -> None:
    plain = json.dumps(credentials()).encode()
    sealed = {OPEN: plain.decode(), SEALED: stranger.seal(plain, issuer="b" * 32)}[what]
    await check(apart, stranger, sealed, CONTENT[what][0])


@pytest.mark.parametrize("what", CALLED)
async def test_an_address_that_does_not_lead_there(apart: Peers, stranger: Stranger, what: str) -> None:
    await check(apart, stranger, stranger.seal(json.dumps(called(apart)[what]).encode()), CALLED[what][0])


@pytest.mark.long
async def test_a_request_that_cannot_be_called_back_goes_and_an_event_tells_why(
    apart: Peers, stranger: Stranger
) -> None:
    request = stranger.request(sealed=stranger.seal(b"server: https://192.0.2.1:6443\n"))
    await stranger.post(request)
    apart.until(lambda: not apart.items("milan", "fr", "-n", "liqo"))
    of_it = f"involvedObject.name={request['metadata']['name']}"

    def is_told() -> bool:
        (event,) = apart.items("milan", "events", "-A", "--field-selector", of_it)
        assert (event["reason"], event["type"]) == ("CallBackFailed", "Warning")
        assert CONTENT["YAML"][0] in event["message"]
        return True

    apart.until(is_told)


def is_unusable(peers: Peers, sentence: str) -> bool:
    """Return whether rome says of milan's offer that its credentials are bad, with that sentence."""
    told = peers.get("rome", "fc", NAME)["status"]["conditions"]
    advertised = next(c for c in told if c["type"] == "Advertised")
    assert (advertised["status"], advertised["reason"]) == ("False", "BadCredentials")
    assert sentence in peers.plain(advertised["message"])
    return True


@pytest.mark.seconds(300)
def test_an_offer_with_bad_credentials_is_not_used_and_a_good_one_after_it_is(
    peers: Peers, tmp_path: Path
) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    published = peers.get("rome", "cm", WELL_KNOWN_CONFIG_MAP, "-n", "liqo")["data"]
    rome, milan = parse_document(published[WELL_KNOWN_KEY], CLOCK.now()), peers.id_of("milan")
    marker = tmp_path / "ran"
    own = credentials(server=peers.lab.cluster("rome").api_url)
    rows = hostile(peers, marker) | {"our own API server": own}
    peers.lab.stop("milan", LIQO)  # it would send good ones again at once
    # And rome would ask for them after half a minute, however many rows it has seen by then.
    asked = {"status": {"outgoing": {"requestedAt": format_time(CLOCK.now() + LATER)}}}
    peers.lab.kubectl(
        "rome", "patch", "fc", NAME, "--subresource", "status", "--type", "merge", "-p", json.dumps(asked)
    )
    try:
        for what, made in rows.items():
            plain = made if isinstance(made, bytes) else json.dumps(made).encode()
            sealed = seal_by_hand(plain, rome.keys.sealing, iss=milan, aud=rome.cluster_id)
            patch = json.dumps({"spec": {"kubeConfig": sealed}})
            peers.lab.kubectl("rome", "patch", "adv", milan, "-n", "liqo", "--type", "merge", "-p", patch)
            sentence = CONTENT[what][0].replace("FOREIGN", "HOME")
            peers.until(lambda sentence=sentence: is_unusable(peers, sentence))  # type: ignore[misc]
        assert not marker.exists()
    finally:
        peers.lab.start("milan", LIQO)
    peers.until(lambda: peers.condition("rome", "Advertised") == ("True", "OfferAccepted"))
    peers.until(lambda: peers.is_ready("rome"))
    peers.part()
