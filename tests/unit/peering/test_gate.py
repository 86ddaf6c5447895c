"""What the webhook says to a request, as a table: one by one what is looked at before it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.api.names import request_name
from liqo.api.reasons import Reason
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.request import forge_proof
from liqo.peering.gate import Known, examine
from liqo.peering.incoming import Answer, Verdict
from liqo.peering.places import SAME_ID_MAX

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOME, FOREIGN = new_identity(), new_identity()
JTI = "abcdefghijklmnop"


def known(**incoming: Any) -> ForeignCluster:
    """Return a ForeignCluster of home, with what is remembered of it."""
    return ForeignCluster.parse(
        {
            "metadata": {"name": "home"},
            "spec": {"clusterID": str(HOME.cluster_id)},
            "status": {"incoming": incoming} if incoming else {},
        }
    )


def accepted(ago: timedelta) -> ForeignCluster:
    """Return home's ForeignCluster with a request signed so long ago as the last that was accepted."""
    return known(lastRequest=(NOW - ago).isoformat())


@dataclass(frozen=True)
class Case:
    """One request and the world it comes into."""

    signed: timedelta = timedelta(seconds=-1)  # from now
    withdraw: bool = False
    by: Identity = HOME
    known: Sequence[ForeignCluster] = ()
    peering: dict[str, Any] = field(default_factory=dict)  # peeringConfig
    stored: int = 0
    tenant: bool = False
    peers: int = 0
    waiting: int = 0

    def wire(self) -> Wire:
        spec: Wire = {
            "protocol": 1,
            "clusterID": str(self.by.cluster_id),
            "clusterName": "rome",
            "namespace": "liqo",
            "keys": self.by.keys.wire(),
        }
        spec |= {"withdraw": True} if self.withdraw else {"kubeConfig": "sealed"}
        audience = FOREIGN.keys.thumbprint
        spec["proof"] = forge_proof(spec, self.by, audience=audience, jti=JTI, now=NOW + self.signed)
        return {"metadata": {"name": self.name}, "spec": spec}

    @property
    def name(self) -> str:
        return request_name(self.by.cluster_id, JTI)

    def verdict(self, wire: Wire | None = None) -> Verdict:
        return examine(
            wire or self.wire(),
            self.name,
            NOW,
            audience=FOREIGN.keys.thumbprint,
            home_id=FOREIGN.cluster_id,
            known=Known(
                foreigns=self.known,
                stored=self.stored,
                tenant=self.tenant,
                invited=False,
                peers=self.peers,
                waiting=self.waiting,
            ),
            config=ClusterConfigSpec.parse({"peeringConfig": self.peering}),
        )


MANUAL = {"requestPolicy": "Manual", "maxPending": 3}
MINUTE = timedelta(minutes=1)
CASES = {
    "a good one of a cluster that nobody knows": (Case(), Answer.ACCEPT, Reason.POLICY),
    "our own identity": (Case(by=FOREIGN), Answer.DENY, Reason.OWN_CLUSTER),
    "older than the last accepted one": (
        Case(signed=-2 * MINUTE, known=[accepted(MINUTE)]),
        Answer.DENY,
        Reason.STALE_REQUEST,
    ),
    "in the same second as the last accepted one": (
        Case(signed=-MINUTE, known=[accepted(MINUTE)]),
        Answer.ACCEPT,
        Reason.POLICY,
    ),
    "newer than the last accepted one": (Case(known=[accepted(MINUTE)]), Answer.ACCEPT, Reason.POLICY),
    "older than what any of several ForeignClusters remembers": (
        Case(signed=-2 * MINUTE, known=[known(), accepted(3 * MINUTE), accepted(MINUTE)]),
        Answer.DENY,
        Reason.STALE_REQUEST,
    ),
    "a withdrawal of what is here, whatever the policy": (
        Case(withdraw=True, known=[accepted(MINUTE)], peering={"requestPolicy": "Deny"}),
        Answer.ACCEPT,
        Reason.WITHDRAWN,
    ),
    "a withdrawal older than the last accepted request": (
        Case(signed=-2 * MINUTE, withdraw=True, known=[accepted(MINUTE)]),
        Answer.DENY,
        Reason.STALE_REQUEST,
    ),
    "a withdrawal of nothing": (Case(withdraw=True), Answer.DENY, Reason.UNKNOWN_CLUSTER),
    "a withdrawal by a tenant that nothing else is known of": (
        Case(withdraw=True, tenant=True),
        Answer.ACCEPT,
        Reason.WITHDRAWN,
    ),
    "one more of a cluster that is known, while all of its own wait": (
        Case(peering={"allowedClusters": [str(HOME.cluster_id)]}, stored=SAME_ID_MAX),
        Answer.DENY,
        Reason.TOO_MANY_PENDING,
    ),
    "one more that waits for a person": (
        Case(peering=MANUAL, waiting=2),
        Answer.MANUAL,
        Reason.WAITING_FOR_PERSON,
    ),
    "one too many that would wait for a person": (
        Case(peering=MANUAL, waiting=3),
        Answer.DENY,
        Reason.TOO_MANY_PENDING,
    ),
    "one that a person allowed takes no place of those who wait": (
        Case(peering=MANUAL | {"allowedClusters": [str(HOME.cluster_id)]}, waiting=3),
        Answer.ACCEPT,
        Reason.ALLOWED,
    ),
    "one peer too many waits for a person": (
        Case(peering={"maxPeers": 2}, peers=2),
        Answer.MANUAL,
        Reason.TOO_MANY_PEERS,
    ),
    "one peer too many, and too many wait": (
        Case(peering={"maxPeers": 2, "maxPending": 3}, peers=2, waiting=3),
        Answer.DENY,
        Reason.TOO_MANY_PENDING,
    ),
}


@pytest.mark.parametrize("sentence", CASES)
def test_a_request_at_the_gate(sentence: str) -> None:
    case, answer, reason = CASES[sentence]
    verdict = case.verdict()
    assert (verdict.answer, verdict.reason) == (answer, reason)
    assert verdict.message or answer is Answer.ACCEPT, "whoever is not accepted is told why"


def test_a_field_that_was_changed_is_seen_before_any_policy() -> None:
    case = Case(peering={"requestPolicy": "Deny"})
    wire = case.wire()
    wire["spec"]["clusterName"] = "milan"
    assert case.verdict(wire).reason is Reason.DIGEST_MISMATCH
    assert replace(case, peering={}).verdict(wire).reason is Reason.DIGEST_MISMATCH
