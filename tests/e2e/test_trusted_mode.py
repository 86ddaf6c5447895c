"""Trusted mode on two real clusters: who signed the other's certificate is for a person to say."""

import base64
import json

import pytest

from e2e_peers import Peers
from liqo.app.demo import NAME

pytestmark = pytest.mark.lab

TRUSTED = "trusted-ca-certificates"


def set_certificates(peers: Peers, side: str, data: dict[str, str | None]) -> None:
    """Do what `kubectl edit cm trusted-ca-certificates` does."""
    patch = json.dumps({"data": data})
    peers.lab.kubectl(side, "patch", "cm", TRUSTED, "-n", "liqo", "--type", "merge", "-p", patch)


def ca_of(peers: Peers, side: str) -> str:
    config = peers.get(side, "configmap", "kube-root-ca.crt", "-n", "liqo")
    return str(config["data"]["ca.crt"])


def join_trusted(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    patch = json.dumps({"spec": {"allowUntrustedCA": False}})
    peers.lab.kubectl("rome", "patch", "fc", NAME, "--type", "merge", "-p", patch)


def test_a_ca_is_trusted_when_a_person_adds_it_and_no_longer_when_he_takes_it_out(peers: Peers) -> None:
    join_trusted(peers)
    peers.until(lambda: peers.condition("rome", "Trusted") == ("False", "CANotTrusted"))
    set_certificates(peers, "rome", {"milan": ca_of(peers, "milan")})
    try:
        peers.until(lambda: peers.is_ready("rome"))
        peers.until(lambda: peers.condition("rome", "Trusted") == ("True", "CATrusted"))
        before = peers.items("milan", "federationrequests", "-n", "liqo")

        set_certificates(peers, "rome", {"milan": None})
        peers.until(lambda: peers.condition("rome", "Trusted") == ("False", "CANotTrusted"))
        peers.until(lambda: not peers.is_ready("rome"))

        set_certificates(peers, "rome", {"milan": ca_of(peers, "milan")})
        peers.until(lambda: peers.is_ready("rome"))
        peers.until(lambda: peers.condition("rome", "Trusted") == ("True", "CATrusted"))
        after = peers.items("milan", "federationrequests", "-n", "liqo")
        assert [r["metadata"]["uid"] for r in after] == [r["metadata"]["uid"] for r in before]
    finally:
        peers.part()  # in good order, which takes trust
        set_certificates(peers, "rome", {"milan": None})


def test_a_running_peering_can_be_held_to_trusted_certificates_and_let_go_again(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    for allowed, ready in ((False, False), (True, True)):
        patch = json.dumps({"spec": {"allowUntrustedCA": allowed}})
        peers.lab.kubectl("rome", "patch", "fc", NAME, "--type", "merge", "-p", patch)
        peers.until(lambda ready=ready: peers.is_ready("rome") is ready)  # type: ignore[misc]
    peers.until(lambda: peers.condition("rome", "Trusted") == ("True", "CASealed"))


def test_a_bad_certificate_is_told_and_the_good_ones_count(peers: Peers) -> None:
    join_trusted(peers)
    bad = "-----BEGIN CERTIFICATE-----\nMIIBVjCB/qADAgECAgEAMAoGCCqGSM49BAMC\n-----END CERTIFICATE-----\n"
    set_certificates(peers, "rome", {"milan": ca_of(peers, "milan"), "remote": bad})
    try:
        peers.until(lambda: peers.is_ready("rome"))

        def told() -> bool:
            events = peers.items("rome", "events", "-n", "liqo", "--field-selector", "reason=BadCertificate")
            return any(e["message"].startswith("remote: block 1: ") for e in events)

        peers.until(told)
    finally:
        peers.part()  # in good order, which takes trust
        set_certificates(peers, "rome", {"milan": None, "remote": None})


def test_a_foreign_cluster_that_does_not_publish_its_ca_is_told_as_such(peers: Peers) -> None:
    peers.configure("milan", "discoveryConfig", allowUntrustedCA=False)
    try:
        peers.until(lambda: "caBundle" not in document_of(peers, "milan"))
        peers.apply_seed("rome", "milan")
        peers.until(lambda: peers.condition("rome", "Trusted") == ("False", "CANotTrusted"))
        told = peers.get("rome", "fc", NAME)["status"]["conditions"]
        message = next(c["message"] for c in told if c["type"] == "Trusted")
        assert "does not publish its CA, and no known CA signed its certificate" in message
    finally:
        peers.configure("milan", "discoveryConfig", allowUntrustedCA=None)


def document_of(peers: Peers, side: str) -> str:
    """Return what the signed document of a cluster says."""
    text = peers.get(side, "cm", "liqo-well-known", "-n", "liqo")["data"]["document"]
    return base64.urlsafe_b64decode(text.split(".")[1] + "===").decode()


def test_foreign_s_own_mode_is_switched_while_it_runs(peers: Peers) -> None:
    peers.apply_seed("rome", "milan")
    peers.until(lambda: peers.is_ready("rome"))
    try:
        peers.configure("milan", "discoveryConfig", allowUntrustedCA=False)
        peers.until(lambda: peers.condition("rome", "Trusted") == ("False", "CANotTrusted"))
        peers.until(lambda: not peers.is_ready("rome"))
        peers.configure("milan", "discoveryConfig", allowUntrustedCA=True)
        peers.until(lambda: peers.is_ready("rome"))
        peers.until(lambda: peers.condition("rome", "Trusted") == ("True", "CASealed"))
    finally:
        peers.configure("milan", "discoveryConfig", allowUntrustedCA=None)


def test_foreign_calls_back_only_a_home_whose_ca_it_trusts_if_it_wants_it_so(peers: Peers) -> None:
    peers.configure("milan", "discoveryConfig", acceptUntrustedCA=False)
    try:
        peers.apply_seed("rome", "milan")

        def is_refused() -> bool:
            (request,) = peers.items("milan", "fr", "-n", "liqo")
            assert request["status"]["reason"] == "CallBackFailed"
            return str(request["status"]["message"]).startswith("certificate of ")

        peers.until(is_refused)
        assert not peers.items("milan", "fc")
        set_certificates(peers, "milan", {"rome": ca_of(peers, "rome")})
        peers.until(lambda: peers.is_ready("rome"))
        (made,) = peers.items("milan", "fc")
        assert made["spec"]["allowUntrustedCA"] is False
    finally:
        peers.configure("milan", "discoveryConfig", acceptUntrustedCA=None)
        peers.part()  # in good order, which takes trust
        set_certificates(peers, "milan", {"rome": None})
