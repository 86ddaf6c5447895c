"""The gate counts whom it has just let through, so that many who ask at once do not get past a bound."""

import ssl
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from liqo.adapters.kubeconfig import Access
from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.meta import Wire
from liqo.app.gate import SEEN_WITHIN, Gate
from liqo.app.home import Home
from liqo.app.stores import Stores, make_stores
from liqo.identity.cluster_id import Identity, new_identity
from liqo.identity.request import forge_proof, new_jti
from liqo.peering.invites import forge_account
from liqo.peering.places import SAME_ID_MAX
from liqo.runtime.metrics import Metrics
from manual_clock import ManualClock
from world import Quiet

INVITE = "invite-abcdefgh"
UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"


class Asked:
    """A gate with a queue of three, and those who ask."""

    def __init__(self, policy: str) -> None:
        self.clock, self.stores, self.us = ManualClock(), make_stores(), new_identity()
        config = ClusterConfigSpec.parse({"peeringConfig": {"requestPolicy": policy, "maxPending": 3}})
        home = Home(
            cluster_id=self.us.cluster_id,
            identity=self.us,
            namespace="liqo",
            access=Access(server="https://192.0.2.1", ssl_context=ssl.create_default_context()),
            cluster_info="",
            nodes=self.stores.nodes,
            config=lambda: config,
        )
        self.events = Quiet()
        metrics = Metrics(CollectorRegistry())
        self.gate = Gate(self.stores, home, lambda: config, self.clock, metrics, self.events)

    def request(
        self, who: Identity, *, invite: str = "", withdraw: bool = False, legacy_id: str = ""
    ) -> Wire:
        jti, cluster_id = new_jti(), legacy_id or who.cluster_id
        spec: Wire = {
            "protocol": 1,
            "clusterID": cluster_id,
            "clusterName": "x",
            "namespace": "liqo",
            "keys": who.keys.wire(),
            **({"withdraw": True} if withdraw else {"kubeConfig": "sealed"}),
            **({"invite": invite} if invite else {}),
        }
        audience = self.us.keys.thumbprint
        spec["proof"] = forge_proof(spec, who, audience=audience, jti=jti, now=self.clock.now())
        return {"metadata": {"name": f"{cluster_id}-{jti}"}, "spec": spec}

    def ask(self, wire: Wire, *, stored: bool = False) -> str:
        """Return what is said, and keep the request if it is let through."""
        ruling = self.gate.judge(wire, wire["metadata"]["name"])
        if ruling.allowed and stored:
            store(self.stores, wire)
        return "" if ruling.allowed else ruling.reason


def store(stores: Stores, wire: Wire) -> None:
    metadata = {**wire["metadata"], "namespace": "liqo", "creationTimestamp": "2026-11-23T12:00:00Z"}
    stores.requests.put({**wire, "metadata": metadata})


@pytest.fixture(params=["Accept", "Manual"])
def asked(request: pytest.FixtureRequest) -> Asked:
    return Asked(request.param)


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "under way"])
def test_no_more_strangers_are_let_in_than_may_wait(asked: Asked, stored: bool) -> None:
    said = [asked.ask(asked.request(new_identity()), stored=stored) for _ in range(5)]
    assert said == ["", "", "", "TooManyPending", "TooManyPending"]


def test_what_was_let_through_and_never_stored_holds_no_place_for_long(asked: Asked) -> None:
    for _ in range(3):
        asked.ask(asked.request(new_identity()))
    asked.clock.at += SEEN_WITHIN
    assert asked.ask(asked.request(new_identity())) == ""


def test_whom_a_person_entered_is_let_in_beside_a_full_queue(asked: Asked) -> None:
    for _ in range(3):
        asked.ask(asked.request(new_identity()), stored=True)
    known = new_identity()
    spec = {"clusterID": known.cluster_id, "discoveryType": "Manual"}
    asked.stores.foreigns.put({"metadata": {"name": "x"}, "spec": spec})
    said = [asked.ask(asked.request(known)) for _ in range(SAME_ID_MAX + 1)]
    assert said == [""] * SAME_ID_MAX + ["TooManyPending"]


def test_an_invite_is_let_in_beside_a_full_queue_and_for_one_cluster(asked: Asked) -> None:
    for _ in range(3):
        asked.ask(asked.request(new_identity()), stored=True)
    account = forge_account(INVITE, "liqo", expires=asked.clock.now() + timedelta(minutes=15))
    asked.stores.invites.put(account)
    assert asked.ask(asked.request(new_identity(), invite=INVITE), stored=True) == ""
    assert asked.ask(asked.request(new_identity(), invite=INVITE)) == "InviteOver"
    assert asked.ask(asked.request(new_identity(), invite="invite-x")) == "InviteOver"


def test_a_bad_proof_holds_no_place(asked: Asked) -> None:
    for _ in range(5):
        wire = asked.request(new_identity())
        wire["spec"]["clusterName"] = "y"
        assert asked.ask(wire) == "DigestMismatch"
    assert asked.ask(asked.request(new_identity())) == ""


def test_a_stranger_has_nothing_to_withdraw(asked: Asked) -> None:
    assert asked.ask(asked.request(new_identity(), withdraw=True)) == "UnknownCluster"


@pytest.mark.parametrize("withdraw", [True, False], ids=["withdrawal", "request"])
def test_in_the_name_of_a_legacy_id_the_key_it_is_known_by_counts_alone(asked: Asked, withdraw: bool) -> None:
    known = new_identity()
    spec = {"clusterID": UUID, "discoveryType": "Manual", "pin": {"signingKey": known.keys.thumbprint}}
    asked.stores.foreigns.put({"metadata": {"name": "x"}, "spec": spec})
    assert asked.ask(asked.request(known, legacy_id=UUID), stored=True) == ""
    for _ in range(3):  # each with a key of his own
        assert asked.ask(asked.request(new_identity(), withdraw=withdraw, legacy_id=UUID)) == "PinChanged"
    assert [reason for reason, _ in asked.events.told] == ["PinChanged"] * 3
    assert len(set(asked.events.told)) == 1  # which is one Event, however many try
