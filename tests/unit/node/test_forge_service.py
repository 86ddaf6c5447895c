"""A Service of home, and what is behind it, as they are on foreign."""

from typing import Any

import pytest

from liqo.api.meta import Wire
from liqo.node.forge_service import forge_service, forge_slices, is_ours, is_reflected

REMOTE = "shop-abcdefghijklmnopqrstuvwxyz234567"
NODE = "liqo-milan-abcdef"


def service(**spec: Any) -> Wire:
    return {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "type": "ClusterIP", **spec},
    }


def test_it_keeps_its_selector_and_ports_and_gets_an_address_of_its_own() -> None:
    port = {"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}
    found = forge_service(
        service(
            type="LoadBalancer",
            ports=[{**port, "nodePort": 30080}],
            externalIPs=["1.2.3.4"],
            loadBalancerIP="1.2.3.4",
            sessionAffinity="ClientIP",
        ),
        REMOTE,
    )
    assert found["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": "web"},
        "sessionAffinity": "ClientIP",
        "ports": [port],
    }
    assert found["metadata"]["namespace"] == REMOTE


def test_one_without_an_address_stays_so() -> None:
    assert forge_service(service(clusterIP="None"), REMOTE)["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize(
    ("obj", "reflected"),
    [
        (service(), True),
        (service(type="ExternalName"), False),
        ({**service(), "metadata": {"name": "kubernetes"}}, False),
        ({**service(), "metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_which_ones_are_there_too(obj: Wire, reflected: bool) -> None:
    assert is_reflected(obj) is reflected


def test_a_slice_that_foreign_made_for_our_service_is_not_ours() -> None:
    forged = forge_service(service(), REMOTE)
    assert is_ours(forged)
    managed_by = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    assert not is_ours({"metadata": {"labels": {**forged["metadata"]["labels"], **managed_by}}})
    (ours,) = forge_slices(service(), [slice_of({"addresses": ["10.1.0.5"]})], NODE, REMOTE, lambda _ip: True)
    assert is_ours(ours)


def slice_of(*endpoints: Wire) -> Wire:
    return {
        "metadata": {"name": "web-x1"},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": list(endpoints),
    }


HERE = {
    "addresses": ["10.1.0.4"],
    "nodeName": "real",
    "zone": "a",
    "targetRef": {"kind": "Pod", "name": "web-1"},
    "conditions": {"ready": True, "serving": True, "terminating": False},
}
THERE = {"addresses": ["10.2.0.4"], "nodeName": NODE, "conditions": {"ready": True}}


def is_own(address: str) -> bool:
    return address.startswith(("10.1.", "10.2."))


def test_what_runs_there_is_left_to_foreign_s_own_controllers() -> None:
    (found,) = forge_slices(service(), [slice_of(HERE, THERE)], NODE, REMOTE, is_own)
    assert found["endpoints"] == [
        {"addresses": ["10.1.0.4"], "conditions": {"ready": True, "serving": True, "terminating": False}}
    ]
    assert found["metadata"]["name"] == "web-x1-home"
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"


def test_a_slice_of_nothing_but_that_is_none() -> None:
    assert forge_slices(service(), [slice_of(THERE)], NODE, REMOTE, is_own) == []


def test_what_is_in_no_pod_network_of_home_s_stays() -> None:
    further = {"addresses": ["10.3.0.4"], "nodeName": "liqo-paris-abcdef", "conditions": {"ready": True}}
    (found,) = forge_slices(service(), [slice_of(HERE, further)], NODE, REMOTE, is_own)
    assert [e["addresses"] for e in found["endpoints"]] == [["10.1.0.4"]]


def test_where_nothing_is_selected_all_of_it_goes() -> None:
    (found,) = forge_slices(service(selector=None), [slice_of(HERE, THERE)], NODE, REMOTE, is_own)
    assert len(found["endpoints"]) == 2
