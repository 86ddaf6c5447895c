"""The rights that one cluster gives another."""

from liqo.api.kinds import CLUSTER_ROLE, NAMESPACE, ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from liqo.api.meta import Key
from liqo.api.rights import forge_peer_rights, forge_rule, forge_tenant_rights, forge_tenant_role

ID = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_peer_gets_all_verbs_on_one_name_and_nothing_else() -> None:
    objects = forge_peer_rights("liqo", ID)
    assert [(kind, Key.of(obj)) for kind, obj in objects] == [
        (SERVICE_ACCOUNT, Key("liqo", f"peer-{ID}")),
        (ROLE, Key("liqo", f"peer-{ID}")),
        (ROLE_BINDING, Key("liqo", f"peer-{ID}")),
    ]
    assert objects[1][1]["rules"] == [
        {
            "apiGroups": ["sharing.liqo.io"],
            "resources": ["advertisements"],
            "resourceNames": [ID],
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        }
    ]


def test_a_tenant_gets_its_own_namespace_and_its_own_requests() -> None:
    objects = forge_tenant_rights("liqo", ID, [f"{ID}-b", f"{ID}-a"])
    tenant = f"liqo-tenant-{ID}"
    assert [(kind, Key.of(obj)) for kind, obj in objects] == [
        (NAMESPACE, Key("", tenant)),
        (ROLE_BINDING, Key(tenant, "liqo-tenant-controller")),
        (SERVICE_ACCOUNT, Key(tenant, "home")),
        (ROLE_BINDING, Key(tenant, "home")),
        (ROLE, Key("liqo", f"home-{ID}")),
        (ROLE_BINDING, Key("liqo", f"home-{ID}")),
    ]
    assert objects[0][1]["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "liqo",
        "liqo.io/cluster-id": ID,
        "liqo.io/tenant": "true",
        "pod-security.kubernetes.io/enforce": "baseline",
    }
    create, own = objects[4][1]["rules"]
    assert create["verbs"] == ["create"]
    assert own["verbs"] == ["delete", "get"]
    assert own["resourceNames"] == [f"{ID}-a", f"{ID}-b"]


def test_without_a_request_a_tenant_gets_no_rule_that_would_mean_all_of_them() -> None:
    role = forge_tenant_rights("liqo", ID, [])[4][1]
    assert [rule["verbs"] for rule in role["rules"]] == [["create"]]


def test_every_object_of_a_peering_carries_its_cluster_id() -> None:
    objects = forge_peer_rights("liqo", ID) + forge_tenant_rights("liqo", ID, [])
    assert {obj["metadata"]["labels"]["liqo.io/cluster-id"] for _, obj in objects} == {ID}


def test_a_rule_names_group_resource_and_subresource() -> None:
    assert forge_rule(SERVICE_ACCOUNT, ["create"], subresource="token", names=["a"]) == {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": ["a"],
        "verbs": ["create"],
    }


def test_a_tenant_may_only_touch_namespace_maps() -> None:
    role = forge_tenant_role()
    assert role["kind"] == CLUSTER_ROLE.kind
    assert [rule["resources"] for rule in role["rules"]] == [["namespacemaps"]]
