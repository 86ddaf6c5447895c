"""What the kubelet endpoint knows: where pods are, and which address nodes publish."""

from typing import Any

import pytest

from liqo.api.kinds import SERVICE, VALIDATING_WEBHOOK
from liqo.api.meta import Wire
from liqo.api.names import node_name, remote_namespace
from liqo.app.controller import Options
from liqo.app.kubelet import Ways, client_ca, published_host
from liqo.app.stores import make_stores
from liqo.errors import Absent, Unreachable
from liqo.node.abroad import Abroad, Place
from liqo.node.networks import Claim
from liqo.serve.kubelet import Caller, Where, parse_caller

HOME_ID, FOREIGN_ID = "a" * 32, "b" * 32
NODE = node_name("milan", FOREIGN_ID)
API_SERVER = Caller("kube-apiserver-kubelet-client", ("system:masters", "system:authenticated"))


class Answering:
    """An API server that has at most one Service."""

    def __init__(self, *, cluster_ip: str | None = None, webhook: str = "") -> None:
        self.cluster_ip, self.webhook = cluster_ip, webhook

    async def get(self, kind: object, _key: object) -> Wire:
        if kind is SERVICE and self.cluster_ip is not None:
            return {"spec": {"clusterIP": self.cluster_ip}}
        if kind is VALIDATING_WEBHOOK and self.webhook:
            return {"webhooks": [{"clientConfig": {"url": self.webhook}}]}
        raise Absent("not here")


def ways(*, leads: bool = True) -> Ways:
    stores = make_stores()
    virtual = {"liqo.io/type": "virtual-node", "liqo.io/cluster-id": FOREIGN_ID}
    nodes: list[Wire] = [{"metadata": {"name": NODE, "labels": virtual}}, {"metadata": {"name": "real"}}]
    stores.nodes.replace(nodes, "1")
    pods = [
        {
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "nodeName": node,
                "containers": [{"name": "main"}],
                "initContainers": [{"name": "init"}],
            },
            "status": {},
        }
        for name, node in (("web", NODE), ("local", "real"), ("liar", "liqo-nobody"))
    ]
    stores.pods.replace(pods, "1")
    clusters: Any = None
    return Ways(
        stores=stores,
        abroad=Abroad(stores.nodes),
        clusters=clusters,
        namespace="liqo",
        home_id=HOME_ID,
        leads=lambda: leads,
    )


@pytest.mark.parametrize(
    ("pod", "container", "found"),
    [
        ("web", "main", True),
        ("web", "init", True),
        ("web", "", True),
        ("web", "other", False),
        ("local", "main", False),
        ("liar", "main", False),
        ("none", "main", False),
    ],
)
def test_only_containers_of_pods_on_virtual_nodes_are_there(pod: str, container: str, found: bool) -> None:
    where = Where(NODE, FOREIGN_ID, remote_namespace("shop", HOME_ID))
    assert ways().locate("shop", pod, container) == (where if found else None)


def test_what_the_other_cluster_says_of_a_namespace_counts() -> None:
    known = ways()
    known.abroad.told(FOREIGN_ID, {"shop": Place(remote="elsewhere")}, Claim())
    assert known.locate("shop", "web", "main") == Where(NODE, FOREIGN_ID, "elsewhere")
    known.abroad.told(FOREIGN_ID, {"shop": Place(reason="Refused")}, Claim())
    assert known.locate("shop", "web", "main") is None


async def test_who_stands_by_uses_no_credentials_of_a_peering_that_is_over() -> None:
    with pytest.raises(Unreachable, match="no peering"):
        await ways(leads=False).open(FOREIGN_ID)


@pytest.mark.parametrize(
    ("options", "cluster_ip", "expected"),
    [
        (Options(kubelet_address="192.0.2.9", listen="192.0.2.1"), "10.0.0.1", "192.0.2.9"),
        (Options(listen="192.0.2.1"), "10.0.0.1", "192.0.2.1"),
        (Options(), "10.0.0.1", "10.0.0.1"),
        (Options(), "None", ""),
        (Options(), None, ""),
    ],
)
async def test_nodes_publish_what_is_configured_listened_on_or_the_service_s(
    options: Options, cluster_ip: str | None, expected: str
) -> None:
    cluster: Any = Answering(cluster_ip=cluster_ip)
    assert await published_host(options, cluster) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://192.0.2.3:9443/admission", "192.0.2.3"), ("https://liqo.example.com:9443/admission", "")],
)
async def test_beside_the_cluster_nodes_publish_where_the_webhook_is_called(url: str, expected: str) -> None:
    cluster: Any = Answering(webhook=url)
    assert await published_host(Options(), cluster) == expected


def test_no_client_ca_is_none() -> None:
    assert client_ca(make_stores()) == ""


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (None, None),
        ({}, None),
        ({"subject": ((("organizationName", "system:masters"),),)}, None),
        ({"subject": ((("commonName", "a"),), (("commonName", "b"),))}, None),
        (
            {"subject": ((("organizationName", "system:masters"),), (("commonName", API_SERVER.user),))},
            API_SERVER,
        ),
    ],
)
def test_a_certificate_names_one_user_or_nobody(certificate: Any, expected: Caller | None) -> None:
    assert parse_caller(certificate) == expected
