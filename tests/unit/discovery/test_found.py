"""What becomes of a cluster that finders see, as a table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.cluster_config import DiscoveryConfig
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import Wire
from liqo.discovery.found import SETTLE, Seen, autojoins, decide, is_held_back
from liqo.discovery.sighting import Sighting
from liqo.runtime.plan import Apply, Create, Delete, Event, Patch, Plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EARLIER = "2026-11-23T11:00:00Z"
ID = "a" * 32
DNS = "dns/mydomain.com"
DISCOVERED = {"type": "Discovered", "status": "True", "reason": "Found", "lastTransitionTime": EARLIER}


def sighting(**changes: Any) -> Sighting:
    said: dict[str, Any] = {
        "cluster_id": ID,
        "namespace": "liqo",
        "endpoints": ("https://10.0.0.2:6443",),
        "ttl": timedelta(seconds=30),
        **changes,
    }
    return Sighting(**said)


def source(name: str = DNS, **changes: Any) -> Wire:
    entry = {"name": name, "endpoints": ["https://10.0.0.2:6443"], "ttlSeconds": 30, "lastSeen": EARLIER}
    return entry | changes


def foreign(
    name: str = ID, *, spec: Wire | None = None, status: Wire | None = None, **metadata: Any
) -> tuple[ForeignCluster, Wire]:
    wire = {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "7",
            "generation": 1,
            "creationTimestamp": EARLIER,
            **metadata,
        },
        "spec": {"clusterID": ID, "discoveryType": "WAN", "join": False, **(spec or {})},
        "status": {"conditions": [DISCOVERED], **(status or {})},
    }
    return ForeignCluster.parse(wire), wire


def ask(
    *siblings: tuple[ForeignCluster, Wire],
    sightings: dict[str, Sighting] | None = None,
    silent: set[str] | None = None,
    autojoin: dict[str, bool | None] | None = None,
    config: dict[str, bool] | None = None,
) -> Plan:
    seen = Seen(
        cluster_id=ID,
        siblings=siblings,
        sightings=sightings or {},
        silent=silent or set(),
        autojoin=autojoin or {},
        config=DiscoveryConfig(**(config or {})),
    )
    return decide(seen, NOW)


def status_of(plan: Plan, name: str = ID) -> Wire:
    (found,) = [a for a in plan.actions if isinstance(a, Apply) and a.obj["metadata"]["name"] == name]
    status: Wire = found.obj["status"]
    return status


def test_a_cluster_that_nobody_knew_is_created_by_its_id_and_not_joined() -> None:
    (made,) = ask(sightings={DNS: sighting(cluster_name="liqo1")}).actions
    assert isinstance(made, Create)
    assert made.obj["metadata"] == {"name": ID}
    assert made.obj["spec"] == {
        "clusterID": ID,
        "clusterName": "liqo1",
        "namespace": "liqo",
        "join": False,
        "discoveryType": "WAN",
        "allowUntrustedCA": False,
        "apiUrl": "https://10.0.0.2:6443",
    }


@pytest.mark.parametrize(
    ("announced", "accepted", "allowed"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_an_unknown_ca_is_allowed_only_where_both_sides_want_it(
    announced: bool, accepted: bool, allowed: bool
) -> None:
    plan = ask(sightings={DNS: sighting(untrusted_ca=announced)}, config={"accept_untrusted_ca": accepted})
    (made,) = plan.actions
    assert isinstance(made, Create)
    assert made.obj["spec"]["allowUntrustedCA"] is allowed


@pytest.mark.parametrize(
    ("own", "untrusted", "autojoin", "autojoin_untrusted", "joined"),
    [
        (None, False, False, False, False),
        (None, False, True, False, True),
        (None, False, False, True, False),
        (None, True, True, False, False),
        (None, True, False, True, True),
        (True, True, False, False, True),
        (True, False, False, False, True),
        (False, True, True, True, False),
        (False, False, True, True, False),
    ],
)
def test_the_autojoin_rules(
    own: bool | None, untrusted: bool, autojoin: bool, autojoin_untrusted: bool, joined: bool
) -> None:
    config = DiscoveryConfig(autojoin=autojoin, autojoin_untrusted=autojoin_untrusted)
    assert autojoins(sighting(untrusted_ca=untrusted), own, config) is joined


@pytest.mark.parametrize(("authenticated", "held"), [(False, True), (True, False)])
def test_plain_dns_joins_nobody_where_authentication_is_required(authenticated: bool, held: bool) -> None:
    seen = Seen(
        cluster_id=ID,
        siblings=(),
        sightings={DNS: sighting(authenticated=authenticated)},
        silent=set(),
        autojoin={DNS: True},
        config=DiscoveryConfig(require_authenticated_dns=True),
    )
    (made,) = decide(seen, NOW).actions
    assert isinstance(made, Create)
    assert made.obj["spec"]["join"] is not held
    assert made.obj["metadata"].get("labels") == (None if held else {"liqo.io/autojoined": "true"})
    assert is_held_back(seen) is held


def test_every_finder_has_an_entry_and_the_lan_agent_s_is_left_to_it() -> None:
    known = foreign(status={"sources": [source("lan")]})
    status = status_of(ask(known, sightings={DNS: sighting(), "dns/b.example": sighting(instance="x")}))
    assert [s["name"] for s in status["sources"]] == ["dns/b.example", DNS]
    (discovered,) = status["conditions"]
    assert discovered["message"] == "Seen by dns/b.example, dns/mydomain.com, lan."
    assert discovered["lastTransitionTime"] == EARLIER


def test_seeing_it_again_changes_nothing_and_news_change_the_time() -> None:
    known = foreign(status={"sources": [source()]})
    assert status_of(ask(known, sightings={DNS: sighting()}))["sources"] == [source()]
    moved = status_of(ask(known, sightings={DNS: sighting(endpoints=("https://10.0.0.3:6443",))}))
    assert moved["sources"] == [
        source(endpoints=["https://10.0.0.3:6443"], lastSeen="2026-11-23T12:00:00Z"),
    ]


def test_what_is_left_of_a_ttl_in_a_name_server_s_cache_is_no_change() -> None:
    known = foreign(status={"sources": [source()]})
    plan = ask(known, sightings={DNS: sighting(ttl=timedelta(seconds=17))})
    assert status_of(plan)["sources"] == [source()]


def test_what_a_search_saw_in_an_earlier_life_stays_until_it_has_answered() -> None:
    known = foreign(status={"sources": [source()]})
    assert status_of(ask(known, silent={DNS}))["sources"] == [source()]
    (gone,) = ask(known).actions
    assert isinstance(gone, Delete)


def test_one_that_nobody_sees_or_touched_goes_as_it_was_seen() -> None:
    (gone,) = ask(foreign()).actions
    assert gone == Delete(kind=gone.kind, key=gone.key, uid=f"uid-{ID}", version="7")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "touched",
    [
        {"spec": {"join": True}},
        {"spec": {"incoming": "Deny"}},
        {"spec": {"pin": {"signingKey": "k1"}}},
        {"status": {"pin": {"signingKey": "k1"}, "conditions": [DISCOVERED]}},
        {"spec": {"incoming": "Allow"}},
        {"status": {"outgoing": {"phase": "Ending"}, "conditions": [DISCOVERED]}},
        {"status": {"incoming": {"phase": "Offered"}, "conditions": [DISCOVERED]}},
        {"spec": {"discoveryType": "Manual"}},
        {"spec": {"discoveryType": "IncomingPeering"}, "generation": 2},
    ],
)
def test_one_that_matters_to_somebody_is_lost_and_not_removed(touched: dict[str, Any]) -> None:
    plan = ask(foreign(**touched))
    (lost,) = status_of(plan)["conditions"]
    assert (lost["status"], lost["reason"]) == ("False", "Lost")
    assert [a.reason for a in plan.actions if isinstance(a, Event)] == ["Lost"]
    assert not any(isinstance(a, Delete) for a in plan.actions)


def test_one_made_for_a_request_goes_like_a_found_one_if_a_finder_ever_saw_it() -> None:
    (gone,) = ask(foreign(spec={"discoveryType": "IncomingPeering"})).actions
    assert isinstance(gone, Delete)
    unseen = ask(foreign(spec={"discoveryType": "IncomingPeering"}, status={"conditions": []}))
    assert not any(isinstance(a, Delete) for a in unseen.actions)


def test_one_that_a_person_entered_and_nobody_ever_saw_costs_nothing() -> None:
    entered = foreign("milan", spec={"discoveryType": "Manual"}, status={"conditions": []})
    assert status_of(ask(entered), "milan") == {}


def test_what_the_agent_has_just_created_is_left_until_it_says_where_it_saw_it() -> None:
    young = foreign(
        spec={"discoveryType": "LAN"}, status={"conditions": []}, creationTimestamp=NOW.isoformat()
    )
    assert ask(young) == Plan([], SETTLE)
    old = foreign(spec={"discoveryType": "LAN"}, status={"conditions": []})
    assert [type(a) for a in ask(old).actions] == [Delete]


@pytest.mark.parametrize(
    ("untrusted", "autojoin", "autojoin_untrusted", "joined"),
    [
        (True, True, False, False),
        (True, False, True, True),
        (False, True, False, True),
        (False, False, True, False),
    ],
)
def test_the_lan_s_clusters_are_joined_when_they_are_first_seen(
    untrusted: bool, autojoin: bool, autojoin_untrusted: bool, joined: bool
) -> None:
    made = foreign(
        spec={"discoveryType": "LAN", "allowUntrustedCA": untrusted},
        status={"conditions": [], "sources": [source("lan")]},
    )
    config = {"autojoin": autojoin, "autojoin_untrusted": autojoin_untrusted}
    plan = ask(made, config=config)
    assert [a.patch["spec"] for a in plan.actions if isinstance(a, Patch)] == (
        [{"join": True}] if joined else []
    )
    labels = [a.patch["metadata"]["labels"] for a in plan.actions if isinstance(a, Patch)]
    assert labels == ([{"liqo.io/autojoined": "true"}] if joined else [])


@pytest.mark.parametrize(
    "later",
    [
        {"generation": 2, "status": {"conditions": [], "sources": [source("lan")]}},
        {"status": {"conditions": [DISCOVERED], "sources": [source("lan")]}},
        {"status": {"conditions": []}},
    ],
)
def test_a_person_s_later_choice_is_never_touched(later: dict[str, Any]) -> None:
    made = foreign(
        spec={"discoveryType": "LAN", "allowUntrustedCA": True}, creationTimestamp=NOW.isoformat(), **later
    )
    assert not [a for a in ask(made, config={"autojoin_untrusted": True}).actions if isinstance(a, Patch)]


def test_of_two_the_one_that_a_person_entered_gets_the_sources_and_the_found_one_goes() -> None:
    found = foreign(status={"sources": [source()]})
    entered = foreign("milan", spec={"discoveryType": "Manual"}, status={"conditions": []})
    plan = ask(found, entered, sightings={DNS: sighting()})
    assert [a.key.name for a in plan.actions if isinstance(a, Delete)] == [ID]
    assert status_of(plan, "milan")["sources"][0]["name"] == DNS


def test_of_two_the_one_that_is_peered_keeps_the_sources() -> None:
    peered = foreign(
        spec={"join": True},
        status={"sources": [source()], "outgoing": {"phase": "Established"}, "conditions": [DISCOVERED]},
    )
    entered = foreign("milan", spec={"discoveryType": "Manual", "join": True}, status={"conditions": []})
    plan = ask(peered, entered, sightings={DNS: sighting()})
    assert status_of(plan)["sources"] == [source()]
    assert status_of(plan, "milan") == {}


def test_one_that_is_being_deleted_is_left_alone() -> None:
    going = foreign(deletionTimestamp=EARLIER)
    assert ask(going, sightings={DNS: sighting()}).actions == []


def test_a_conflict_is_told() -> None:
    known = foreign(
        status={"sources": [source("lan", conflict="evil at https://10.0.0.9:6443 claims it too")]}
    )
    plan = ask(known)
    (discovered,) = status_of(plan)["conditions"]
    assert (discovered["status"], discovered["reason"]) == ("True", "IdConflict")
    assert discovered["message"] == "lan: evil at https://10.0.0.9:6443 claims it too"
    assert [a.reason for a in plan.actions if isinstance(a, Event)] == ["IdConflict"]
