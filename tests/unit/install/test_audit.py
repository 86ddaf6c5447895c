"""What a cluster allows, compared with what Liqo gives in it."""

import pytest

from liqo.api.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    FEDERATION_REQUEST,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Wire
from liqo.api.names import HOME_NAMESPACE_LABEL, LAN_AGENT, peer_account, tenant_namespace
from liqo.api.rights import (
    Objects,
    forge_account_subject,
    forge_group_subject,
    forge_object,
    forge_offload_rights,
    forge_peer_rights,
    forge_role_ref,
    forge_rule,
    forge_tenant_rights,
    forge_workload_rights,
)
from liqo.install.audit import Seen, audit, differs, identities, whose
from liqo.install.grants import Right, Subject, account, in_words, read_grants, uncovered
from liqo.install.lan import forge_lan_rights
from liqo.install.rights import forge_rights
from liqo.sharing.place import forge_place

NS, ID, OTHER = "liqo", "a" * 32, "b" * 32
RIGHTS = [*forge_rights(NS), *forge_lan_rights(NS)]
SECRETS = [forge_rule(SECRET, ["get", "list"])]


def role(name: str, namespace: str = "", rules: list[Wire] = SECRETS) -> Objects:
    kind = ROLE if namespace else CLUSTER_ROLE
    return [(kind, forge_object(kind, name, namespace, rules=rules))]


def bound(name: str, subject: Wire, namespace: str = "", ref: str = "") -> Objects:
    kind = ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING
    ref_kind = ROLE if namespace and not ref else CLUSTER_ROLE
    return [
        (
            kind,
            forge_object(
                kind, name, namespace, roleRef=forge_role_ref(ref_kind, ref or name), subjects=[subject]
            ),
        )
    ]


def seen(*more: Objects, rbac: Objects = RIGHTS, namespaces: list[Wire] | None = None) -> Seen:
    everything = [*rbac, *(pair for objects in more for pair in objects)]
    accounts = [
        obj for kind, obj in everything if kind is SERVICE_ACCOUNT and obj["metadata"]["namespace"] == NS
    ]
    return Seen(namespace=NS, rbac=everything, accounts=accounts, namespaces=namespaces or [])


def warnings(found: Seen) -> list[str]:
    """Return what is said of rights; that nothing else was seen is no matter here."""
    return [w.message for w in audit(found) if "is not there" not in w.message]


def namespaces_of(*objects: Objects) -> list[Wire]:
    return [obj for group in objects for kind, obj in group if kind is NAMESPACE]


# Rights, one by one.


@pytest.mark.parametrize(
    ("mine", "wanted", "yes"),
    [
        (Right("", "", "pods", "", "get"), Right("x", "", "pods", "web", "get"), True),
        (Right("x", "", "pods", "", "get"), Right("", "", "pods", "", "get"), False),
        (Right("x", "", "pods", "web", "get"), Right("x", "", "pods", "", "get"), False),
        (Right("", "*", "*", "", "*"), Right("x", "apps", "deployments", "web", "patch"), True),
        (Right("", "*", "*", "", "*"), Right("", "", "/metrics", "", "get"), False),
        (Right("", "", "/*", "", "get"), Right("", "", "/metrics", "", "get"), True),
        (Right("", "", "*/status", "", "get"), Right("", "", "pods/status", "", "get"), True),
        (Right("", "", "*/status", "", "get"), Right("", "", "pods/log", "", "get"), False),
        (Right("", "", "pods", "", "get"), Right("", "", "pods/log", "", "get"), False),
        (Right("", "apps", "pods", "", "get"), Right("", "", "pods", "", "get"), False),
    ],
)
def test_a_right_covers_another(mine: Right, wanted: Right, yes: bool) -> None:
    assert mine.covers(wanted) is yes
    assert uncovered([wanted], [mine]) == (set() if yes else {wanted})


def test_a_cluster_role_counts_only_where_it_is_bound() -> None:
    objects = [*role("reader"), *bound("here", forge_account_subject(NS, "x"), "shop", "reader")]
    (grant,) = read_grants(objects)
    assert {right.where for right in grant.rights} == {"shop"}
    assert (grant.subject, grant.binding, grant.role) == (
        account(NS, "x"),
        "RoleBinding shop/here",
        "ClusterRole reader",
    )


def test_a_binding_of_a_role_that_is_not_there_gives_nothing() -> None:
    assert read_grants(bound("here", forge_account_subject(NS, "x"), "shop", "reader")) == []


def test_a_role_of_another_namespace_is_another_one() -> None:
    assert read_grants([*role("a", "one"), *bound("a", forge_account_subject(NS, "x"), "two")]) == []


def test_rights_are_told_in_few_words() -> None:
    rights = [
        Right("", "", "secrets", "", "list"),
        Right("", "", "secrets", "", "get"),
        Right(NS, "apps", "deployments/scale", "web", "patch"),
        Right("", "*", "*", "", "*"),
    ]
    assert in_words(rights) == [
        ("", "everything", "*"),
        ("", "secrets", "get, list"),
        (NS, "deployments.apps/scale web", "patch"),
    ]


# What is due.


def test_what_is_installed_is_due() -> None:
    assert warnings(seen()) == []
    assert warnings(seen(rbac=forge_rights(NS))) == []


def test_a_peering_is_due() -> None:
    peer, tenant = forge_peer_rights(NS, ID), forge_tenant_rights(NS, OTHER, [f"{OTHER}-1"])
    place = forge_place("shop", f"shop-{OTHER}", OTHER)
    enabled = forge_object(NAMESPACE, "shop", labels={"liqo.io/enabled": "true"})
    workload = forge_workload_rights(NS, f"shop-{OTHER}", OTHER)
    offload: Objects = [(ROLE_BINDING, forge_offload_rights(NS, "shop"))]
    spaces = [*namespaces_of(tenant), place, enabled]
    found = seen(peer, tenant, workload, offload, namespaces=spaces)
    assert warnings(found) == []
    names = {whose(grant.subject, NS) for grant in identities(found)}
    assert {peer_account(ID), f"{tenant_namespace(OTHER)}/home", "liqo-controller", LAN_AGENT} <= names


def test_an_invite_may_ask_and_nothing_else() -> None:
    guest = forge_account_subject(NS, "invite-x")
    account: Objects = [(SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, "invite-x", NS))]
    ask = [forge_rule(FEDERATION_REQUEST, ["create"])]
    assert warnings(seen(account, role("ask", NS, ask), bound("ask", guest, NS))) == []
    (message,) = warnings(seen(account, role("thief"), bound("thief", guest)))
    assert "lets invite-x get, list secrets" in message


def test_a_namespace_that_does_not_ask_any_more_is_not_read() -> None:
    offload: Objects = [(ROLE_BINDING, forge_offload_rights(NS, "shop"))]
    (message,) = warnings(seen(offload, namespaces=[forge_object(NAMESPACE, "shop")]))
    assert message.startswith(
        "RoleBinding shop/liqo-offload (ClusterRole liqo-offload) lets liqo-controller "
    )
    assert "list, watch secrets in shop" in message


def test_a_home_cluster_that_reads_another_s_requests_is_told() -> None:
    tenant = forge_tenant_rights(NS, ID, [f"{OTHER}-1"])
    (message,) = warnings(seen(tenant, namespaces=namespaces_of(tenant)))
    assert f"delete, get federationrequests.discovery.liqo.io {OTHER}-1 in liqo" in message


def test_a_home_cluster_in_another_s_namespace_is_told() -> None:
    tenant = forge_tenant_rights(NS, ID, [])
    place = forge_place("shop", f"shop-{OTHER}", OTHER)
    mine = [pair for pair in forge_workload_rights(NS, f"shop-{OTHER}", ID) if pair[0] is ROLE_BINDING]
    (message,) = warnings(seen(tenant, mine, namespaces=[*namespaces_of(tenant), place]))
    assert f"lets {tenant_namespace(ID)}/home " in message


# Who has more.


@pytest.mark.parametrize(
    ("subject", "who"),
    [
        (forge_account_subject(NS, "liqo-controller"), "liqo-controller"),
        (forge_account_subject(NS, "liqo-door"), "liqo-door"),
        (forge_account_subject(NS, "no-one"), "no-one"),
        (forge_group_subject("system:authenticated"), "system:authenticated"),
        (forge_group_subject("system:unauthenticated"), "system:unauthenticated"),
        (forge_group_subject("system:serviceaccounts"), "system:serviceaccounts"),
        (forge_group_subject("system:serviceaccounts:liqo"), "system:serviceaccounts:liqo"),
        ({"kind": "User", "name": "system:anonymous"}, "system:anonymous"),
        ({"kind": "User", "name": "system:serviceaccount:liqo:liqo-lan"}, "liqo-lan"),
    ],
)
def test_more_is_told_whoever_has_it(subject: Wire, who: str) -> None:
    (message,) = warnings(seen(role("thief"), bound("thief", subject)))
    assert message == (
        f"ClusterRoleBinding thief (ClusterRole thief) lets {who} get, list secrets, which Liqo does not give"
    )


@pytest.mark.parametrize(
    "subject",
    [
        forge_account_subject("shop", "liqo-controller"),
        forge_group_subject("system:masters"),
        forge_group_subject("system:serviceaccounts:kube-system"),
        {"kind": "User", "name": "alice"},
    ],
)
def test_others_are_none_of_ours(subject: Wire) -> None:
    assert warnings(seen(role("thief"), bound("thief", subject))) == []


def test_pods_of_a_home_cluster_have_no_rights_here() -> None:
    place = forge_object(NAMESPACE, "shop-x", labels={HOME_NAMESPACE_LABEL: "shop"})
    thief = bound("thief", forge_account_subject("shop-x", "default"))
    (message,) = warnings(seen(role("thief"), thief, namespaces=[place]))
    assert "lets shop-x/default get, list secrets" in message


def test_the_same_right_twice_is_no_more() -> None:
    again = forge_rule(SECRET, ["get"], names=["cluster-identity"])
    objects = [*role("again", NS, [again]), *bound("again", forge_account_subject(NS, "liqo-controller"), NS)]
    assert warnings(seen(objects)) == []


def test_a_long_list_is_cut() -> None:
    rules = [{"apiGroups": [""], "resources": ["pods", "nodes", "events", "bindings"], "verbs": ["escalate"]}]
    thief = bound("thief", forge_account_subject(NS, "liqo-door"))
    (message,) = warnings(seen(role("thief", rules=rules), thief))
    assert "escalate bindings; escalate events; escalate nodes; and 1 more" in message


# Who has less.


def test_a_right_that_was_taken_away_is_told() -> None:
    rbac = [pair for pair in RIGHTS if pair[1]["metadata"]["name"] != "liqo-controller-leases"]
    (message,) = warnings(seen(rbac=rbac))
    assert message == (
        "liqo-controller may not create, delete, get, patch, update leases.coordination.k8s.io in "
        "kube-node-lease, which it needs"
    )


def test_who_has_everything_lacks_nothing() -> None:
    rbac = [pair for pair in RIGHTS if pair[1]["metadata"]["name"] != "liqo-controller-leases"]
    every = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    admin = bound("all", forge_account_subject(NS, "liqo-controller"), ref="all")
    (message,) = warnings(seen(role("all", rules=every), admin, rbac=rbac))
    assert "lets liqo-controller * everything" in message


# What is edited.


@pytest.mark.parametrize(
    ("wanted", "found", "where"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b[1]"),
        ({"a": [1]}, {"a": [1, 2]}, "a"),
        ({}, {"a": {"b": 1}}, "a"),
        ({"a": {"b": 1}}, {}, "a"),
    ],
)
def test_the_first_difference_is_named(wanted: Wire, found: Wire, where: str) -> None:
    assert differs(wanted, found) == where


def test_identities_are_listed_without_what_everybody_has() -> None:
    basic = [{"nonResourceURLs": ["/version"], "verbs": ["get"]}]
    objects = [*role("info", rules=basic), *bound("info", forge_group_subject("system:unauthenticated"))]
    found = identities(seen(objects))
    assert Subject("Group", "system:unauthenticated") == found[0].subject
    assert "ClusterRoleBinding info" not in {grant.binding for grant in found}
