"""Who may do what in a cluster with Liqo in it, verb by verb, as RBAC objects; pure.

Nothing here says `*`. Where RBAC cannot bound a right (a create knows no name, a cluster-wide rule no
namespace), an admission policy does (`liqo.install.fences`), and a test on a real API server tries to get
past it.
"""

from liqo.api.kinds import (
    ADVERTISEMENT,
    CERTIFICATE_REQUEST,
    CLUSTER_CONFIG,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    EVENT,
    FEDERATION_REQUEST,
    FOREIGN_CLUSTER,
    LEASE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    NAMESPACE_MAP,
    NODE,
    POD,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SEARCH_DOMAIN,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_CIDR,
    VALIDATING_WEBHOOK,
)
from liqo.api.meta import Kind, Wire
from liqo.api.names import (
    CLIENT_CA_CONFIG_MAP,
    CLUSTER_ID_CONFIG_MAP,
    CONTROLLER,
    DOOR,
    IDENTITY_SECRET,
    KUBELET_APPROVER,
    KUBELET_SERVICE,
    KUBELET_SIGNER,
    SERVING_SECRET,
    STRANGERS,
    SYSTEM_NAMESPACE,
    WEBHOOK_CONFIGURATION,
    WELL_KNOWN_CONFIG_MAP,
)
from liqo.api.rights import (
    EDIT,
    FIXED_ROLES,
    Objects,
    forge_account_subject,
    forge_group_subject,
    forge_object,
    forge_offload_role,
    forge_role_ref,
    forge_rule,
    forge_tenant_controller_role,
    forge_tenant_role,
    forge_workload_controller_role,
    forge_workload_role,
)

UNAUTHENTICATED = "system:unauthenticated"
AUTHENTICATED = "system:authenticated"
LEASES_NAMESPACE = "kube-node-lease"
PUBLIC_NAMESPACE = "kube-public"
CLUSTER_INFO = "cluster-info"  # kubeadm's; how those who join reach the API server

_ACCESS_REVIEW = Kind(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
_TOKEN_REVIEW = Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
_READ = ("get", "list", "watch")


def forge_rights(ns: str) -> Objects:
    """Return all of Liqo's RBAC for its namespace, in the order in which it is applied."""
    return [
        *forge_strangers(ns),
        (SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, CONTROLLER, ns)),
        (CLUSTER_ROLE, forge_tenant_role()),
        (CLUSTER_ROLE, forge_tenant_controller_role()),
        (CLUSTER_ROLE, forge_offload_role()),
        (CLUSTER_ROLE, forge_workload_role()),
        (CLUSTER_ROLE, forge_workload_controller_role()),
        *_cluster_wide(ns, CONTROLLER, cluster_rules()),
        (
            SERVICE_ACCOUNT,
            forge_object(SERVICE_ACCOUNT, KUBELET_APPROVER, ns, automountServiceAccountToken=False),
        ),
        *_cluster_wide(ns, KUBELET_APPROVER, approver_rules()),
        *_bound(ns, ns, CONTROLLER, controller_rules()),
        *_bound(ns, LEASES_NAMESPACE, f"{CONTROLLER}-leases", lease_rules()),
        *_bound(ns, PUBLIC_NAMESPACE, f"{CONTROLLER}-cluster-info", cluster_info_rules()),
        *_bound(ns, SYSTEM_NAMESPACE, f"{CONTROLLER}-client-ca", client_ca_rules()),
    ]


def forge_strangers(ns: str) -> Objects:
    """Return what somebody who has not proved himself may do: ask, and read the well-known document.

    Whoever calls back comes with a token, so the document is for the authenticated too. Where the API server takes no
    anonymous requests, strangers come as the door's account.
    """
    door = forge_account_subject(ns, DOOR)
    return [
        (SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, DOOR, ns, automountServiceAccountToken=False)),
        (ROLE, forge_object(ROLE, STRANGERS, ns, rules=[forge_rule(FEDERATION_REQUEST, ["create"])])),
        (ROLE_BINDING, _binding(ROLE, STRANGERS, ns, [forge_group_subject(UNAUTHENTICATED), door])),
        (
            ROLE,
            forge_object(
                ROLE,
                WELL_KNOWN_CONFIG_MAP,
                ns,
                rules=[forge_rule(CONFIG_MAP, ["get"], names=[WELL_KNOWN_CONFIG_MAP])],
            ),
        ),
        (
            ROLE_BINDING,
            _binding(
                ROLE,
                WELL_KNOWN_CONFIG_MAP,
                ns,
                [forge_group_subject(UNAUTHENTICATED), forge_group_subject(AUTHENTICATED), door],
            ),
        ),
    ]


def cluster_rules() -> list[Wire]:
    """Return the controller's rights in the whole cluster; no Secret and no Role is among them."""
    return [
        forge_rule(FOREIGN_CLUSTER, EDIT),
        forge_rule(FOREIGN_CLUSTER, ["patch"], subresource="status"),
        forge_rule(SEARCH_DOMAIN, _READ),
        forge_rule(SEARCH_DOMAIN, ["patch"], subresource="status"),
        forge_rule(CLUSTER_CONFIG, _READ),
        forge_rule(NODE, EDIT),  # writes: virtual nodes only (policy)
        forge_rule(NODE, ["patch"], subresource="status"),
        forge_rule(POD, [*_READ, "delete"]),  # delete: on virtual nodes only (policy)
        forge_rule(POD, ["patch"], subresource="status"),  # likewise
        forge_rule(EVENT, ["create", "patch"]),  # outside its own namespace: about pods only (policy)
        forge_rule(NAMESPACE, EDIT),  # writes: those of tenants only (policy)
        forge_rule(NAMESPACE_MAP, _READ),
        forge_rule(RESOURCE_QUOTA, _READ),
        forge_rule(SERVICE_CIDR, ["list"]),  # where no pod of another cluster can be
        forge_rule(
            ROLE_BINDING, [*_READ, "create", "delete", "patch"]
        ),  # writes: of fixed roles only (policy)
        forge_rule(CLUSTER_ROLE, ["bind"], names=FIXED_ROLES),
        forge_rule(VALIDATING_WEBHOOK, ["get", "patch"], names=[WEBHOOK_CONFIGURATION]),
        forge_rule(MUTATING_WEBHOOK, ["get", "patch"], names=[WEBHOOK_CONFIGURATION]),
        forge_rule(_ACCESS_REVIEW, ["create"]),
        forge_rule(_TOKEN_REVIEW, ["create"]),
        forge_rule(CERTIFICATE_REQUEST, ["create", "delete", "get"]),  # writes: of kubelets' only (policy)
    ]


def controller_rules() -> list[Wire]:
    """Return the controller's rights in Liqo's own namespace.

    Nobody can hand out what he does not hold: the rights on Advertisements and requests that peers and
    tenants get have to be among them.
    """
    return [
        forge_rule(ADVERTISEMENT, EDIT),
        forge_rule(ADVERTISEMENT, ["patch"], subresource="status"),
        forge_rule(FEDERATION_REQUEST, ["create", "delete", *_READ]),
        forge_rule(FEDERATION_REQUEST, ["patch"], subresource="status"),
        forge_rule(CONFIG_MAP, ["create", *_READ]),
        forge_rule(CONFIG_MAP, ["patch"], names=[CLUSTER_ID_CONFIG_MAP, WELL_KNOWN_CONFIG_MAP]),
        forge_rule(SECRET, ["create"]),  # of two names only (policy)
        forge_rule(SECRET, ["get", "patch", "update"], names=[IDENTITY_SECRET, SERVING_SECRET]),
        forge_rule(SECRET, ["list", "watch"], names=[IDENTITY_SECRET]),
        forge_rule(SERVICE_ACCOUNT, EDIT),
        forge_rule(
            SERVICE_ACCOUNT, ["create"], subresource="token"
        ),  # of peers and the door only, for a day (policy)
        forge_rule(ROLE, [*EDIT, "bind"]),  # of peers and tenants only (policy); bind: docs/decisions/0004
        forge_rule(ROLE_BINDING, EDIT),  # likewise
        forge_rule(SERVICE, ["get"], names=[KUBELET_SERVICE]),
        forge_rule(LEASE, ["create"]),
        forge_rule(LEASE, ["get", "patch", "update"], names=[CONTROLLER]),
    ]


def lease_rules() -> list[Wire]:
    """Return the right to keep virtual nodes alive."""
    return [forge_rule(LEASE, ["create", "delete", "get", "patch", "update"])]  # of liqo-* (policy)


def cluster_info_rules() -> list[Wire]:
    """Return the right to read what kubeadm wrote down: where others reach the API server."""
    return [forge_rule(CONFIG_MAP, ["get"], names=[CLUSTER_INFO])]


def client_ca_rules() -> list[Wire]:
    """Return the right to follow which CA signs client certificates: the API server's among them."""
    return [forge_rule(CONFIG_MAP, _READ, names=[CLIENT_CA_CONFIG_MAP])]


def approver_rules() -> list[Wire]:
    """Return the rights of whoever approves the kubelet endpoint's certificate: that of our own controller (policy)."""
    return [
        forge_rule(CERTIFICATE_REQUEST, ["patch"], subresource="approval"),
        {
            "apiGroups": [CERTIFICATE_REQUEST.group],
            "resources": ["signers"],
            "resourceNames": [KUBELET_SIGNER],
            "verbs": ["approve"],
        },
    ]


def _cluster_wide(ns: str, name: str, rules: list[Wire]) -> Objects:
    """Return a ClusterRole for one of our accounts, and its binding."""
    return [
        (CLUSTER_ROLE, forge_object(CLUSTER_ROLE, name, rules=rules)),
        (
            CLUSTER_ROLE_BINDING,
            forge_object(
                CLUSTER_ROLE_BINDING,
                name,
                roleRef=forge_role_ref(CLUSTER_ROLE, name),
                subjects=[forge_account_subject(ns, name)],
            ),
        ),
    ]


def _bound(ns: str, where: str, name: str, rules: list[Wire]) -> Objects:
    """Return a Role for the controller in one namespace, and its binding."""
    return [
        (ROLE, forge_object(ROLE, name, where, rules=rules)),
        (ROLE_BINDING, _binding(ROLE, name, where, [forge_account_subject(ns, CONTROLLER)])),
    ]


def _binding(kind: Kind, name: str, namespace: str, subjects: list[Wire]) -> Wire:
    return forge_object(ROLE_BINDING, name, namespace, roleRef=forge_role_ref(kind, name), subjects=subjects)
