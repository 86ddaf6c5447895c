"""The rights that one cluster gives another, as RBAC objects; pure.

They stand here because two rooms need them: `peering` gives and takes them, `install` sees to it that the
controller may.
"""

from collections.abc import Sequence

from liqo.api.kinds import (
    ADVERTISEMENT,
    CLUSTER_ROLE,
    CONFIG_MAP,
    ENDPOINT_SLICE,
    EVENT,
    FEDERATION_REQUEST,
    LIMIT_RANGE,
    NAMESPACE,
    NAMESPACE_MAP,
    NETWORK_POLICY,
    POD,
    POD_METRICS,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Kind, Wire
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    CONTROLLER,
    MANAGED_LABEL,
    TENANT_CLUSTER_ROLE,
    TENANT_LABEL,
    TENANT_SERVICE_ACCOUNT,
    WORKLOAD_CLUSTER_ROLE,
    peer_account,
    tenant_namespace,
    tenant_role,
)

TENANT_CONTROLLER_ROLE = "liqo-tenant-controller"  # what our controller may in a tenant namespace
WORKLOAD_CONTROLLER_ROLE = "liqo-workload-controller"  # what it may where a tenant's pods run
OFFLOAD_ROLE = "liqo-offload"  # what it may at home where pods may run abroad
FIXED_ROLES = (
    OFFLOAD_ROLE,
    TENANT_CLUSTER_ROLE,
    TENANT_CONTROLLER_ROLE,
    WORKLOAD_CLUSTER_ROLE,
    WORKLOAD_CONTROLLER_ROLE,
)
TENANT_PREFIX = tenant_namespace("")
PEER_PREFIX = peer_account("")
HOME_PREFIX = tenant_role("")
POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"

EDIT = ("create", "delete", "get", "list", "patch", "watch")
"""All that the owner of an object does to it; an update is a patch, a deletecollection is nobody's."""

Objects = list[tuple[Kind, Wire]]


def forge_rule(kind: Kind, verbs: Sequence[str], *, subresource: str = "", names: Sequence[str] = ()) -> Wire:
    """Return one rule of a Role: verbs on a kind or its subresource, on these names only if there are any."""
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    rule: Wire = {"apiGroups": [kind.group], "resources": [resource], "verbs": sorted(verbs)}
    if names:
        rule["resourceNames"] = sorted(names)
    return rule


def forge_object(
    kind: Kind, name: str, namespace: str = "", *, labels: dict[str, str] | None = None, **body: object
) -> Wire:
    """Return an object that Liqo manages, and says so in a label."""
    metadata: Wire = {"name": name, "labels": {MANAGED_LABEL: "liqo", **(labels or {})}}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **body}


def forge_role_ref(kind: Kind, name: str) -> Wire:
    """Return the roleRef of a binding."""
    return {"apiGroup": kind.group, "kind": kind.kind, "name": name}


def forge_account_subject(namespace: str, name: str) -> Wire:
    """Return a ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def forge_group_subject(name: str) -> Wire:
    """Return a group as the subject of a binding."""
    return {"apiGroup": ROLE.group, "kind": "Group", "name": name}


def forge_peer_rights(ns: str, foreign_id: str) -> Objects:
    """Return what home gives a foreign cluster: its own Advertisement in Liqo's namespace, nothing else.

    A create by server-side apply obeys resourceNames, so that the name alone fences it in; a POST is refused.
    """
    name = peer_account(foreign_id)
    labels = {CLUSTER_ID_LABEL: foreign_id}
    return [
        (SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, name, ns, labels=labels)),
        (
            ROLE,
            forge_object(
                ROLE, name, ns, labels=labels, rules=[forge_rule(ADVERTISEMENT, EDIT, names=[foreign_id])]
            ),
        ),
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING,
                name,
                ns,
                labels=labels,
                roleRef=forge_role_ref(ROLE, name),
                subjects=[forge_account_subject(ns, name)],
            ),
        ),
    ]


def forge_tenant_rights(ns: str, home_id: str, request_names: Sequence[str]) -> Objects:
    """Return what foreign gives a home cluster: a namespace of its own, and its requests in Liqo's.

    The order counts: the controller has to bind its own role in the fresh namespace before it may go on
    there, and the binding takes a moment to be in force.

    Args:
        ns: Liqo's namespace here.
        home_id: whose tenant namespace it is.
        request_names: the FederationRequests of that cluster which it may read and withdraw.
    """
    tenant, role = tenant_namespace(home_id), tenant_role(home_id)
    labels = {CLUSTER_ID_LABEL: home_id}
    account = forge_account_subject(tenant, TENANT_SERVICE_ACCOUNT)
    place = {**labels, TENANT_LABEL: "true", POD_SECURITY_LABEL: "baseline"}
    rules = [
        forge_rule(FEDERATION_REQUEST, ["create"]),
        forge_rule(FEDERATION_REQUEST, ["delete", "get"], names=request_names),
    ]
    return [
        (NAMESPACE, forge_object(NAMESPACE, tenant, labels=place)),
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING,
                TENANT_CONTROLLER_ROLE,
                tenant,
                labels=labels,
                roleRef=forge_role_ref(CLUSTER_ROLE, TENANT_CONTROLLER_ROLE),
                subjects=[forge_account_subject(ns, CONTROLLER)],
            ),
        ),
        (SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, TENANT_SERVICE_ACCOUNT, tenant, labels=labels)),
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING,
                TENANT_SERVICE_ACCOUNT,
                tenant,
                labels=labels,
                roleRef=forge_role_ref(CLUSTER_ROLE, TENANT_CLUSTER_ROLE),
                subjects=[account],
            ),
        ),
        (ROLE, forge_object(ROLE, role, ns, labels=labels, rules=rules if request_names else rules[:1])),
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING, role, ns, labels=labels, roleRef=forge_role_ref(ROLE, role), subjects=[account]
            ),
        ),
    ]


def forge_workload_rights(ns: str, remote: str, home_id: str) -> Objects:
    """Return the bindings in a namespace on foreign that stands for one of home's: our controller's, and home's.

    Args:
        ns: Liqo's namespace here.
        remote: the namespace.
        home_id: whose it is.
    """
    labels = {CLUSTER_ID_LABEL: home_id}
    pairs = (
        (WORKLOAD_CONTROLLER_ROLE, forge_account_subject(ns, CONTROLLER)),
        (WORKLOAD_CLUSTER_ROLE, forge_account_subject(tenant_namespace(home_id), TENANT_SERVICE_ACCOUNT)),
    )
    return [
        (
            ROLE_BINDING,
            forge_object(
                ROLE_BINDING,
                role,
                remote,
                labels=labels,
                roleRef=forge_role_ref(CLUSTER_ROLE, role),
                subjects=[subject],
            ),
        )
        for role, subject in pairs
    ]


def forge_offload_rights(ns: str, namespace: str) -> Wire:
    """Return the binding of our controller's own role in a namespace at home whose pods may run abroad."""
    return forge_object(
        ROLE_BINDING,
        OFFLOAD_ROLE,
        namespace,
        roleRef=forge_role_ref(CLUSTER_ROLE, OFFLOAD_ROLE),
        subjects=[forge_account_subject(ns, CONTROLLER)],
    )


def forge_offload_role() -> Wire:
    """Return the fixed ClusterRole that our controller binds to itself where pods may run abroad."""
    return forge_object(
        CLUSTER_ROLE,
        OFFLOAD_ROLE,
        rules=[
            forge_rule(kind, ["get", "list", "watch"])
            for kind in (CONFIG_MAP, ENDPOINT_SLICE, SECRET, SERVICE)
        ],
    )


def forge_workload_role() -> Wire:
    """Return the fixed ClusterRole of a home cluster where its pods run; admission policies bound what it writes.

    It reads the Secrets there, and put them all there itself: nobody else may (`liqo.install.workloads`).
    """
    reflected = (CONFIG_MAP, SECRET, SERVICE, ENDPOINT_SLICE)
    return forge_object(
        CLUSTER_ROLE,
        WORKLOAD_CLUSTER_ROLE,
        rules=[
            forge_rule(POD, EDIT),
            forge_rule(POD, ["get"], subresource="log"),
            *(forge_rule(POD, ["create"], subresource=sub) for sub in ("attach", "exec", "portforward")),
            *(forge_rule(kind, EDIT) for kind in reflected),
            forge_rule(EVENT, ["get", "list", "watch"]),
            forge_rule(POD_METRICS, ["get", "list"]),
        ],
    )


def forge_workload_controller_role() -> Wire:
    """Return the fixed ClusterRole that our controller binds to itself in each namespace of a home cluster."""
    bounds = (RESOURCE_QUOTA, LIMIT_RANGE, NETWORK_POLICY)
    return forge_object(
        CLUSTER_ROLE,
        WORKLOAD_CONTROLLER_ROLE,
        rules=[forge_rule(kind, ["create", "get", "patch"]) for kind in bounds],
    )


def forge_tenant_role() -> Wire:
    """Return the fixed ClusterRole of a home cluster in its tenant namespace."""
    return forge_object(CLUSTER_ROLE, TENANT_CLUSTER_ROLE, rules=[forge_rule(NAMESPACE_MAP, EDIT)])


def forge_tenant_controller_role() -> Wire:
    """Return the fixed ClusterRole that our controller binds to itself in each tenant namespace.

    Deleting what is in there is the namespace's own end, but for the binding that is taken away first.
    """
    return forge_object(
        CLUSTER_ROLE,
        TENANT_CONTROLLER_ROLE,
        rules=[
            forge_rule(SERVICE_ACCOUNT, ["create", "delete", "get", "patch"]),
            forge_rule(SERVICE_ACCOUNT, ["create"], subresource="token"),
            forge_rule(NAMESPACE_MAP, ["delete", "get", "list", "watch"]),
            forge_rule(NAMESPACE_MAP, ["patch"], subresource="status"),
            forge_rule(ROLE_BINDING, ["get", "list", "watch"]),
        ],
    )
