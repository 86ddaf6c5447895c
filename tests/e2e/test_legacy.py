"""Clusters whose id is a UUID, on real API servers: shown as what they are, known by what they showed first."""

import json

import pytest
from prometheus_client import CollectorRegistry

from e2e_legacy import UUID, liqo
from e2e_peers import Peers
from liqo.adapters.clock import SystemClock, SystemRandom
from liqo.adapters.kube import HttpCluster
from liqo.adapters.tls import PINNED_NAME, pinned_context
from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST
from liqo.api.names import WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY, request_name
from liqo.app.demo import NAME
from liqo.errors import Fault
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.document import parse_document
from liqo.identity.request import forge_proof, new_jti
from liqo.identity.trust import fingerprints
from liqo.runtime.metrics import Metrics

pytestmark = pytest.mark.lab

CLOCK = SystemClock()
TRUSTED = "trusted-ca-certificates"


def ca_of(peers: Peers, side: str) -> str:
    return (peers.lab.cluster(side).pki / "ca.crt").read_text()


def test_a_legacy_id_is_joined_and_is_known_by_what_it_showed_first(legacy: Peers) -> None:
    legacy.apply_seed("rome", "milan")
    legacy.until(lambda: legacy.is_ready("rome"))
    assert legacy.id_of("milan") == UUID
    assert legacy.condition("rome", "IdentityVerified") == ("False", "LegacyClusterID")
    shown = liqo(legacy, "rome", "trust", "show", NAME, "-o", "json")
    told = json.loads(shown.stdout)
    assert told["known"]["caFingerprints"] == fingerprints(ca_of(legacy, "milan"))
    assert (told["clusterID"], told["legacy"], told["shown"]) == (UUID, True, None)
    refused = liqo(legacy, "rome", "trust", "accept", NAME, "--yes")
    assert "shows nothing but what it is known by" in refused.stderr


async def test_a_legacy_id_waits_for_a_person_and_nobody_else_asks_in_its_name_then(legacy: Peers) -> None:
    legacy.apply_seed("milan", "rome")
    legacy.until(lambda: legacy.condition("milan", "Accepted") == ("Unknown", "Pending"))
    assert liqo(legacy, "rome", "accept", UUID).returncode == 0
    legacy.until(lambda: legacy.is_ready("milan"))
    known = legacy.get("rome", "fc", UUID)["status"]["pin"]
    assert known["caFingerprints"] == fingerprints(ca_of(legacy, "milan"))
    before = legacy.items("rome", "fr", "-n", "liqo")

    with pytest.raises(Fault) as refused:
        await withdraw_in_its_name(legacy, new_identity())
    assert "PinChanged" in refused.value.message
    assert known["signingKey"] in refused.value.message
    assert legacy.items("rome", "fr", "-n", "liqo") == before

    def told() -> bool:
        events = legacy.items("rome", "events", "-n", "liqo", "--field-selector", "reason=PinChanged")
        return any("Somebody asks in its name" in e["message"] for e in events)

    legacy.until(told)
    assert legacy.is_ready("milan")


async def withdraw_in_its_name(peers: Peers, identity: Identity) -> None:
    """Tell rome, as a stranger with a key of his own, that the cluster with the UUID wants nothing any more."""
    rome = HttpCluster(
        peers.lab.cluster("rome").people_url,
        ssl_context=pinned_context(ca_of(peers, "rome")),
        server_hostname=PINNED_NAME,
        clock=CLOCK,
        random=SystemRandom(),
        metrics=Metrics(CollectorRegistry()),
        role="stranger",
    )
    try:
        wire, _ = await rome.fetch_with_headers(CONFIG_MAP.path("liqo", WELL_KNOWN_CONFIG_MAP))
        audience = parse_document(wire["data"][WELL_KNOWN_KEY], CLOCK.now()).keys.thumbprint
        jti = new_jti()
        spec = {
            "protocol": 1,
            "clusterID": UUID,
            "clusterName": "milan",
            "namespace": "liqo",
            "keys": identity.keys.wire(),
            "withdraw": True,
        }
        proof = forge_proof(spec, identity, audience=audience, jti=jti, now=CLOCK.now())
        request = {
            "apiVersion": FEDERATION_REQUEST.api_version,
            "kind": FEDERATION_REQUEST.kind,
            "metadata": {"name": request_name(UUID, jti)},
            "spec": {**spec, "proof": proof},
        }
        await rome.post_with_headers(FEDERATION_REQUEST.path("liqo"), request)
    finally:
        await rome.close()


def test_a_legacy_id_that_a_trusted_ca_verified_once_cannot_fall_back(legacy: Peers) -> None:
    set_certificates(legacy, ca_of(legacy, "milan"))
    try:
        legacy.apply_seed("rome", "milan")  # which allows a CA of its own, too
        legacy.until(lambda: legacy.is_ready("rome"))
        assert legacy.condition("rome", "Trusted") == ("True", "CATrusted")
        assert legacy.get("rome", "fc", NAME)["status"]["pin"]["onceTrusted"]
        set_certificates(legacy, None)
        legacy.until(lambda: legacy.condition("rome", "Trusted") == ("False", "CANotTrusted"))
        legacy.until(lambda: not legacy.is_ready("rome"))
        assert legacy.virtual_nodes("rome")
    finally:
        set_certificates(legacy, ca_of(legacy, "milan"))
        legacy.part()  # in good order, which takes trust
        set_certificates(legacy, None)


def set_certificates(peers: Peers, pem: str | None) -> None:
    patch = json.dumps({"data": {"milan": pem}})
    peers.lab.kubectl("rome", "patch", "cm", TRUSTED, "-n", "liqo", "--type", "merge", "-p", patch)
