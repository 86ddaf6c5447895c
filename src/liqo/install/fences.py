"""What holds our own controller to what it is for, should it ever be taken over; pure.

RBAC gives it some rights that it can only give cluster-wide or without a name; these policies bound them.
"""

from collections.abc import Sequence

from liqo.api.kinds import (
    ADVERTISEMENT,
    CERTIFICATE_REQUEST,
    EVENT,
    FEDERATION_REQUEST,
    LEASE,
    NAMESPACE,
    NODE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Kind
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    CONTROLLER,
    DOOR,
    ENABLED_LABEL,
    HOME_NAMESPACE_LABEL,
    IDENTITY_SECRET,
    INVITE_PREFIX,
    KUBELET_APPROVER,
    KUBELET_REQUEST_PREFIX,
    KUBELET_SIGNER,
    NODE_PREFIX,
    NODE_TYPE_LABEL,
    SERVING_SECRET,
    TENANT_CLUSTER_ROLE,
    VIRTUAL_NODE,
    WORKLOAD_CLUSTER_ROLE,
)
from liqo.api.rights import (
    HOME_PREFIX,
    OFFLOAD_ROLE,
    PEER_PREFIX,
    POD_SECURITY_LABEL,
    TENANT_CONTROLLER_ROLE,
    TENANT_PREFIX,
    WORKLOAD_CONTROLLER_ROLE,
)
from liqo.install.policy import WRITES, Check, Policy, account_user
from liqo.install.rights import LEASES_NAMESPACE

TOKEN_SECONDS_MAX = 86_400  # a day: TokenRequest itself would grant 136 years

WORKLOAD = f"metadata.?labels['{HOME_NAMESPACE_LABEL}'].hasValue()"
CLUSTER_ID = f"metadata.?labels['{CLUSTER_ID_LABEL}'].orValue('')"
IN_WORKLOAD = f"namespaceObject.{WORKLOAD}"
IN_TENANT = f"request.namespace.startsWith('{TENANT_PREFIX}')"
LEVEL = f"metadata.?labels['{POD_SECURITY_LABEL}'].orValue('')"
LEVELS = "['baseline', 'restricted']"  # of Pod Security, that keep pods off the hosts
GIVEN = f"(request.name.startsWith('{PEER_PREFIX}') || request.name.startsWith('{HOME_PREFIX}'))"


def forge_fences(ns: str) -> list[Policy]:
    """Return the policies about the controller in that namespace."""
    return [*_rights(ns), *_cluster(ns), *_credentials(ns), *_certificates(ns)]


def _fence(
    ns: str, what: str, kinds: Sequence[tuple[Kind, Sequence[str]]], operations: Sequence[str], *checks: Check
) -> Policy:
    return Policy(
        name=f"liqo-controller-{what}",
        kinds=kinds,
        operations=operations,
        applies=f"request.userInfo.username == '{account_user(ns, CONTROLLER)}'",
        checks=checks,
    )


def _rights(ns: str) -> list[Policy]:
    """Return what it may hand out: rights on our kinds, to service accounts of peers and tenants."""
    own = "(object.roleRef.kind == 'Role' && object.roleRef.name == request.name)"
    tenant = f"['{TENANT_CLUSTER_ROLE}', '{TENANT_CONTROLLER_ROLE}']"
    workload = f"['{WORKLOAD_CLUSTER_ROLE}', '{WORKLOAD_CONTROLLER_ROLE}']"
    fixed = (
        "(object.roleRef.kind == 'ClusterRole' && "
        f"object.roleRef.name in ({IN_TENANT} ? {tenant} : {workload}))"
    )
    enabled = (
        f"(request.name == '{OFFLOAD_ROLE}' && (object == null || "
        f"(namespaceObject.metadata.?labels['{ENABLED_LABEL}'].orValue('') == 'true' && "
        f"object.roleRef.kind == 'ClusterRole' && object.roleRef.name == '{OFFLOAD_ROLE}' && "
        f"object.subjects.all(s, s.namespace == '{ns}' && s.name == '{CONTROLLER}'))))"
    )
    owner = f"'{TENANT_PREFIX}' + namespaceObject.{CLUSTER_ID}"
    groups = f"['{ADVERTISEMENT.group}', '{FEDERATION_REQUEST.group}']"
    return [
        _fence(
            ns,
            "bindings",
            [(ROLE_BINDING, [""])],
            WRITES,
            Check(
                f"(request.namespace == '{ns}' && {GIVEN}) || {IN_TENANT} || {IN_WORKLOAD} || {enabled}",
                "the controller binds roles of peers and tenants only",
            ),
            Check(
                f"object == null || {enabled} || (request.namespace == '{ns}' ? {own} : {fixed})",
                "the controller binds a peer's own role, or Liqo's fixed roles in a tenant's namespaces",
            ),
            Check(
                f"object == null || object.?subjects.orValue([]).all(s, s.kind == 'ServiceAccount' && "
                f"(s.namespace == '{ns}' || s.namespace.startsWith('{TENANT_PREFIX}')))",
                "the controller binds roles to service accounts of peers and tenants only",
            ),
            Check(
                f"object == null || !{IN_WORKLOAD} || object.subjects.all(s, s.namespace == {owner} || "
                f"(s.namespace == '{ns}' && s.name == '{CONTROLLER}'))",
                "where a tenant's pods run the controller gives rights to that tenant and itself only",
            ),
        ),
        _fence(
            ns,
            "roles",
            [(ROLE, [""])],
            WRITES,
            Check(
                f"request.namespace == '{ns}' && {GIVEN}",
                "the controller writes roles of peers and tenants only",
            ),
            Check(
                f"object == null || object.?rules.orValue([]).all(r, r.apiGroups.all(g, g in {groups}))",
                "the controller hands out rights on Liqo's own kinds only",
            ),
        ),
    ]


def _cluster(ns: str) -> list[Policy]:
    """Return which nodes, leases, namespaces and pods are its own."""
    virtual = f"metadata.?labels['{NODE_TYPE_LABEL}'].orValue('') == '{VIRTUAL_NODE}'"
    return [
        _fence(
            ns,
            "nodes",
            [(NODE, ["", "status"])],
            WRITES,
            Check(
                f"request.name.startsWith('{NODE_PREFIX}')",
                f"the controller writes {NODE_PREFIX}* nodes only",
            ),
            Check(
                f"(object == null || object.{virtual}) && (oldObject == null || oldObject.{virtual})",
                "the controller writes virtual nodes only",
            ),
        ),
        _fence(
            ns,
            "leases",
            [(LEASE, [""])],
            WRITES,
            Check(
                f"request.namespace != '{LEASES_NAMESPACE}' || request.name.startsWith('{NODE_PREFIX}')",
                "the controller writes leases of virtual nodes only",
            ),
        ),
        _fence(
            ns,
            "namespaces",
            [(NAMESPACE, [""])],
            WRITES,
            Check(
                f"request.name.startsWith('{TENANT_PREFIX}') || "
                f"((object == null || object.{WORKLOAD}) && (oldObject == null || oldObject.{WORKLOAD}))",
                "the controller writes namespaces of tenants only",
            ),
            Check(
                f"object == null || request.name.endsWith('-' + object.{CLUSTER_ID})",
                "a tenant's namespace is named by its clusterID",
            ),
            Check(
                f"object == null || object.{LEVEL} in {LEVELS} || "
                f"(oldObject != null && object.{LEVEL} == oldObject.{LEVEL})",
                "the controller opens no namespace to pods that reach the host",
            ),
        ),
        _fence(
            ns,
            "events",
            [(EVENT, [""])],
            WRITES,
            Check(
                f"request.namespace == '{ns}' || (object != null && dyn(object).involvedObject.kind == '{POD.kind}')",
                "the controller writes events about pods only, outside its own namespace",
            ),
        ),
        _fence(
            ns,
            "pods",
            [(POD, ["", "status"])],
            WRITES,
            Check(
                f"oldObject != null && oldObject.spec.?nodeName.orValue('').startsWith('{NODE_PREFIX}')",
                "the controller deletes pods on virtual nodes, and writes their status, only",
            ),
            Check(
                "object == null || (object.metadata.?labels == oldObject.metadata.?labels && "
                "object.metadata.?annotations == oldObject.metadata.?annotations && "
                "object.metadata.?finalizers == oldObject.metadata.?finalizers)",
                "the controller writes the status of pods, not their labels, annotations and finalizers",
            ),
        ),
    ]


def _certificates(ns: str) -> list[Policy]:
    """Return which certificates it may ask for, and which ones the approver's account may approve.

    What is inside a request cannot be seen here. The signer itself takes no other subject than a node's, and gives no
    certificate with which anybody could come as a client.
    """
    kubelet = (
        f"object.spec.signerName == '{KUBELET_SIGNER}' && "
        f"object.metadata.name.startsWith('{KUBELET_REQUEST_PREFIX}') && "
        "object.spec.usages.all(u, u in ['digital signature', 'server auth'])"
    )
    return [
        _fence(
            ns,
            "certificates",
            [(CERTIFICATE_REQUEST, [""])],
            WRITES,
            Check(
                f"object == null ? request.name.startsWith('{KUBELET_REQUEST_PREFIX}') : ({kubelet})",
                "the controller asks for its kubelet endpoint's certificate only",
            ),
        ),
        Policy(
            name=KUBELET_APPROVER,
            kinds=[(CERTIFICATE_REQUEST, ["approval"])],
            operations=["UPDATE"],
            applies=f"request.userInfo.username == '{account_user(ns, KUBELET_APPROVER)}'",
            checks=[
                Check(
                    f"{kubelet} && object.spec.username == '{account_user(ns, CONTROLLER)}'",
                    "only what the controller asks for its kubelet endpoint is approved",
                )
            ],
        ),
    ]


def _credentials(ns: str) -> list[Policy]:
    """Return whose credentials it may make, and for how long."""
    return [
        _fence(
            ns,
            "accounts",
            [(SERVICE_ACCOUNT, [""])],
            WRITES,
            Check(
                f"request.namespace != '{ns}' || request.name.startsWith('{PEER_PREFIX}') || "
                f"(object == null && request.name.startsWith('{INVITE_PREFIX}'))",
                "the controller writes service accounts of peers and tenants, and takes back invites, only",
            ),
        ),
        _fence(
            ns,
            "tokens",
            [(SERVICE_ACCOUNT, ["token"])],
            ["CREATE"],
            Check(
                f"request.namespace != '{ns}' || request.name.startsWith('{PEER_PREFIX}') || "
                f"request.name in ['{DOOR}', '{KUBELET_APPROVER}']",
                "the controller issues tokens of peers, tenants, the door and the approver only",
            ),
            Check(
                f"object.spec.?expirationSeconds.orValue(0) <= {TOKEN_SECONDS_MAX}",
                "a token lives for a day at most",
            ),
        ),
        _fence(
            ns,
            "secrets",
            [(SECRET, [""])],
            ["CREATE"],
            Check(
                f"request.name in ['{IDENTITY_SECRET}', '{SERVING_SECRET}']",
                "the controller keeps its identity and its certificate, no other Secret",
            ),
            Check(
                "object.?type.orValue('Opaque') in ['Opaque', 'kubernetes.io/tls']",
                "a Secret of that type would be filled with a token",
            ),
        ),
    ]
