"""Whether Liqo is well in a cluster, by what was read of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from liqo.api.crd import forge_crds
from liqo.api.meta import Wire, format_micro_time
from liqo.identity.cluster_id import new_identity
from liqo.identity.document import forge_document
from liqo.install.vitals import Check, Vitals, examine, is_same_host

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
US = new_identity()
URL = "https://192.0.2.7:6443"


def lease(past: timedelta = timedelta(seconds=3), holder: str = "liqo-controller-1") -> Wire:
    return {"spec": {"holderIdentity": holder, "renewTime": format_micro_time(NOW - past)}}


def document(at: datetime = NOW, door: str = "") -> Wire:
    text = forge_document(
        US, at, cluster_id=US.cluster_id, cluster_name="milan", namespace="liqo", door_url=door
    )
    return {"data": {"document": text}}


def established(status: str = "True") -> dict[str, Wire]:
    condition = {"type": "Established", "status": status}
    return {crd["metadata"]["name"]: {**crd, "status": {"conditions": [condition]}} for crd in forge_crds()}


WELL = Vitals(
    now=NOW,
    here=NOW,
    lease=lease(),
    crds=established(),
    ids={"data": {"cluster-id": str(US.cluster_id)}},
    document=document(),
    anonymous=True,
    server=URL,
    names=["kubernetes", "192.0.2.7"],
    pinned=False,
)


def bad(**changes: Any) -> list[Check]:
    return [check for check in examine(replace(WELL, **changes)) if not check.ok]


def test_all_is_well() -> None:
    assert bad() == []
    assert [check.name for check in examine(WELL)] == [
        "controller",
        "kinds",
        "document",
        "entry",
        "address",
        "clock",
    ]


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"lease": None}, "controller", "no controller runs"),
        ({"lease": lease(holder="")}, "controller", "no controller runs"),
        ({"lease": lease(timedelta(minutes=1))}, "controller", "long ago"),
        ({"lease": lease(timedelta(minutes=-10))}, "controller", "the API server's clock shows"),
        ({"crds": {}}, "kinds", "not served: "),
        ({"crds": established("False")}, "kinds", "not served: "),
        ({"document": None}, "document", "no ConfigMap liqo-well-known"),
        ({"ids": None}, "document", "no ConfigMap cluster-id"),
        ({"document": document(NOW - timedelta(days=60))}, "document", "the document ended at"),
        ({"ids": {"data": {"cluster-id": "b" * 32}}}, "document", f"not {'b' * 32}"),
        ({"anonymous": False}, "entry", "no door is open"),
        ({"server": ""}, "address", "not known"),
        ({"names": ["kubernetes", "10.0.0.1"]}, "address", "covers only kubernetes, 10.0.0.1"),
        ({"names": []}, "address", "covers only no name"),
        ({"here": NOW + timedelta(minutes=10)}, "clock", "600 s ahead of the API server's"),
        ({"here": NOW - timedelta(minutes=10)}, "clock", "600 s behind the API server's"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(changes: Wire, name: str, says: str) -> None:
    (check,) = bad(**changes)
    assert check.name == name
    assert says in check.message
    assert check.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"lease": lease(timedelta(seconds=-20))},
        {"anonymous": False, "document": document(door="https://192.0.2.7:16443")},
        {"names": None},
        {"names": ["kubernetes"], "pinned": True},
        {"here": NOW + timedelta(seconds=30)},
    ],
)
def test_what_is_good_enough_is_no_warning(changes: Wire) -> None:
    assert bad(**changes) == []


@pytest.mark.parametrize(
    ("name", "host", "yes"),
    [
        ("rome.example.com", "ROME.example.com", True),
        ("*.example.com", "rome.example.com", True),
        ("*.example.com", "a.rome.example.com", False),
        ("*.example.com", "example.com", False),
        ("2001:db8::1", "2001:db8:0::1", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "rome", False),
    ],
)
def test_a_certificate_is_for_these_hosts(name: str, host: str, yes: bool) -> None:
    assert is_same_host(name, host) is yes
