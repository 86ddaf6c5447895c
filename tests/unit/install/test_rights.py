"""Who may do what in a cluster with Liqo in it."""

import pytest

from liqo.api.kinds import CLUSTER_ROLE, ROLE
from liqo.api.meta import Wire
from liqo.api.rights import forge_peer_rights, forge_tenant_rights
from liqo.install.rights import cluster_rules, controller_rules, forge_rights, forge_strangers

ID = "abcdefghijklmnopqrstuvwxyz234567"
ROLES = [obj for kind, obj in forge_rights("liqo") if kind in {ROLE, CLUSTER_ROLE}]


@pytest.mark.parametrize("role", ROLES, ids=lambda r: r["metadata"]["name"])
def test_no_rule_says_everything(role: Wire) -> None:
    for rule in role["rules"]:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert "deletecollection" not in rule["verbs"]


def test_the_controller_has_no_right_on_secrets_or_roles_cluster_wide() -> None:
    resources = {name for rule in cluster_rules() for name in rule["resources"]}
    assert not resources & {"secrets", "roles", "serviceaccounts", "serviceaccounts/token"}


def test_the_controller_may_bind_the_fixed_cluster_roles_and_may_not_write_any() -> None:
    rules = [rule for rule in cluster_rules() if rule["resources"] == ["clusterroles"]]
    assert [(rule["verbs"], rule["resourceNames"]) for rule in rules] == [
        (
            ["bind"],
            [
                "liqo-offload",
                "liqo-tenant",
                "liqo-tenant-controller",
                "liqo-tenant-workload",
                "liqo-workload-controller",
            ],
        )
    ]


def test_the_controller_reads_two_secrets_by_name_and_no_others() -> None:
    rules = [rule for rule in controller_rules() if rule["resources"] == ["secrets"]]
    unnamed = [rule["verbs"] for rule in rules if "resourceNames" not in rule]
    named = [(rule["verbs"], rule["resourceNames"]) for rule in rules if "resourceNames" in rule]
    assert unnamed == [["create"]]
    assert named == [
        (["get", "patch", "update"], ["cluster-identity", "liqo-serving"]),
        (["list", "watch"], ["cluster-identity"]),
    ]


def test_the_controller_holds_whatever_it_hands_out() -> None:
    given = [
        rule
        for kind, obj in forge_peer_rights("liqo", ID) + forge_tenant_rights("liqo", ID, [f"{ID}-a"])
        if kind is ROLE
        for rule in obj["rules"]
    ]
    held = {
        (group, resource, verb)
        for rule in controller_rules()
        if "resourceNames" not in rule
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    for rule in given:
        for verb in rule["verbs"]:
            assert (rule["apiGroups"][0], rule["resources"][0], verb) in held


def test_strangers_may_ask_and_read_one_config_map() -> None:
    found = {obj["metadata"]["name"]: obj["rules"] for kind, obj in forge_strangers("liqo") if kind is ROLE}
    assert [rule["verbs"] for rule in found["liqo-strangers"]] == [["create"]]
    (rule,) = found["liqo-well-known"]
    assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["liqo-well-known"])


def test_the_same_names_do_not_meet_when_liqo_lives_in_the_namespace_default() -> None:
    keys = [
        (k.kind, o["metadata"].get("namespace"), o["metadata"]["name"]) for k, o in forge_rights("default")
    ]
    assert len(keys) == len(set(keys))
