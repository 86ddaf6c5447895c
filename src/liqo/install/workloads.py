"""What a home cluster may write where its pods run here, whatever its own controller does; pure.

RBAC says in which namespaces it may write what kinds. These policies hold also where somebody gave it more: they
tell by its account which namespaces are its own, and what its objects may ask of our hosts. They see an object as our
own admission plugins left it.
"""

from collections.abc import Sequence

from liqo.api.kinds import CONFIG_MAP, ENDPOINT_SLICE, POD, SECRET, SERVICE
from liqo.api.names import (
    CLUSTER_ID_LABEL,
    HOME_NAMESPACE_LABEL,
    HOME_UID_ANNOTATION,
    MANAGED_LABEL,
    NODE_LABELS,
    PASSED_ANNOTATION,
    POD_CIDRS_ANNOTATION,
)
from liqo.api.rights import TENANT_PREFIX
from liqo.install.policy import Check, Policy

_USER = f"system:serviceaccount:{TENANT_PREFIX}"
IS_TENANT = f"request.userInfo.username.startsWith('{_USER}')"
_TENANT_ID = f"request.userInfo.username.substring({len(_USER)}).split(':')[0]"

_CONTENT = (CONFIG_MAP, SECRET, SERVICE, ENDPOINT_SLICE)

_POD_FIELDS = (
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "containers",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "initContainers",
    "nodeSelector",
    "os",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "resources",
    "restartPolicy",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "tolerations",
    "volumes",
)
"""What the spec of a pod may hold: what a home cluster sends, and what our API server adds by itself.

A list of what is allowed, so that a field of a later Kubernetes is refused until somebody has thought about it.
"""

_VOLUMES = ("configMap", "downwardAPI", "emptyDir", "projected", "secret")
_SOURCES = ("configMap", "downwardAPI", "secret")
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""What the plugin DefaultTolerationSeconds adds to every pod."""

_SERVICE_FIELDS = (
    "clusterIP",
    "clusterIPs",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "type",
)
_ISSUED = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token")
_BELIEVED = f"namespaceObject.metadata.?annotations[?'{POD_CIDRS_ANNOTATION}'].orValue('').split(',')"
_ADMITTED = ("kubernetes.io/limit-ranger", "openshift.io/scc")
"""Annotations that an API server's own admission plugins add, to tell what they did."""

_PROBES = (
    "c.?livenessProbe",
    "c.?readinessProbe",
    "c.?startupProbe",
    "c.?lifecycle.?postStart",
    "c.?lifecycle.?preStop",
)

_CONTAINERS = "(dyn(object.spec.?initContainers.orValue([])) + dyn(object.spec.containers))"  # of two types


def forge_workloads() -> list[Policy]:
    """Return the policies about what home clusters write in their namespaces here."""
    return [_pods(), _content(), _services(), _slices(), _secrets(), _reach()]


def _pods() -> Policy:
    """Bound what a pod asks for; what cannot change later is looked at when it is created only."""
    return Policy(
        name="liqo-tenants-pods",
        kinds=[(POD, [""])],
        operations=["CREATE", "UPDATE"],
        applies=IS_TENANT,
        checks=[
            _in_its_own_namespaces(),
            *_metadata(),
            Check(
                f"object.metadata.?annotations[?'{HOME_UID_ANNOTATION}'].hasValue() && (oldObject == null || "
                f"oldObject.metadata.?annotations[?'{HOME_UID_ANNOTATION}'].hasValue())",
                f"a pod of another cluster says by the annotation {HOME_UID_ANNOTATION} which one it stands for",
            ),
            Check(
                "object.metadata.?annotations.orValue({}).all(name, "
                f"name.matches('{PASSED_ANNOTATION}') || name in {_listed(_ADMITTED)} || (oldObject != null && "
                "oldObject.metadata.?annotations[?name] == object.metadata.?annotations[?name]))",
                "annotations with a prefix may steer the network, runtime or tools of this cluster: a pod of another "
                "cluster has names without one, and liqo.io/home-…, only",
            ),
            *(_at_first(check) for check in (*_scheduling(), *_host(), *_identity())),
            Check(
                "object.spec.?tolerations.orValue([]).all(t, "
                f"t.?key.orValue('') in {_listed(_TOLERATED)} && t.?effect.orValue('') == 'NoExecute' && "
                "has(t.tolerationSeconds)) && "
                "(oldObject == null || object.spec.?tolerations == oldObject.spec.?tolerations)",
                "pods of other clusters tolerate no taints of this cluster's nodes",
            ),
        ],
    )


def _scheduling() -> list[Check]:
    return [
        Check(
            f"dyn(object.spec).all(field, field in {_listed(_POD_FIELDS)})",
            "a pod of another cluster chooses no node, no runtime class and nothing of the host's: "
            "its spec has what a home cluster sends, and no more",
        ),
        Check(
            "object.spec.?priority.orValue(0) <= 0",
            "pods of other clusters are no more important than any of ours: their priority is at most 0",
        ),
        Check(
            "object.spec.?schedulerName.orValue('default-scheduler') == 'default-scheduler'",
            "pods of other clusters are placed by the default scheduler",
        ),
        Check(
            f"object.spec.?nodeSelector.orValue({{}}).all(label, label in {_listed(NODE_LABELS)})",
            f"pods of other clusters select nodes by {', '.join(NODE_LABELS)} only",
        ),
    ]


def _host() -> list[Check]:
    """Return what keeps a pod off the host: its volumes, its ports, and what the kubelet does on its behalf."""
    hosts = " && ".join(f"p.?{handler}.?host.orValue('') == ''" for handler in ("httpGet", "tcpSocket"))
    return [
        Check(
            f"object.spec.?volumes.orValue([]).all(v, dyn(v).all(field, field in {_listed(('name', *_VOLUMES))}))",
            f"pods of other clusters have volumes of these kinds only: {', '.join(_VOLUMES)}",
        ),
        Check(
            f"{_CONTAINERS}.all(c, c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0))",
            "pods of other clusters take no ports of our nodes",
        ),
        Check(
            f"{_CONTAINERS}.all(c, [{', '.join(_PROBES)}].all(p, {hosts}))",
            "probes and hooks run from our nodes: they go to the pod itself, to no other host",
        ),
    ]


def _identity() -> list[Check]:
    """Return what leaves a pod without any credentials of this cluster."""
    return [
        Check(
            "object.spec.?serviceAccountName.orValue('default') in ['', 'default']",
            "pods of other clusters run as the service account default",
        ),
        Check(
            "!object.spec.?automountServiceAccountToken.orValue(true)",
            "pods of other clusters get no token of this cluster: automountServiceAccountToken is false",
        ),
        Check(
            "object.spec.?volumes.orValue([]).all(v, v.?projected.?sources.orValue([]).all(s, "
            f"dyn(s).all(field, field in {_listed(_SOURCES)})))",
            f"projected volumes hold {', '.join(_SOURCES)} only: no token and no certificate of this cluster",
        ),
    ]


def _content() -> Policy:
    return Policy(
        name="liqo-tenants-content",
        kinds=[(kind, [""]) for kind in _CONTENT],
        operations=["CREATE", "UPDATE"],
        applies=IS_TENANT,
        checks=[
            _in_its_own_namespaces(),
            *_metadata(),
            _written_by_liqo(),
            Check(
                f"request.resource.resource != '{SECRET.plural}' || "
                f"!(dyn(object).?type.orValue('') in {_listed(_ISSUED)})",
                "a Secret of this type is filled with a token of this cluster, or is one",
            ),
        ],
    )


def _services() -> Policy:
    return Policy(
        name="liqo-tenants-services",
        kinds=[(SERVICE, [""])],
        operations=["CREATE", "UPDATE"],
        applies=IS_TENANT,
        checks=[
            Check(
                "object.spec.?type.orValue('ClusterIP') == 'ClusterIP' && "
                f"dyn(object.spec).all(field, field in {_listed(_SERVICE_FIELDS)})",
                "a Service of another cluster is one inside this cluster: type ClusterIP, with no address of its "
                "owner's choice outside and no port of a node",
            ),
        ],
    )


def _slices() -> Policy:
    """Keep what a Service leads to inside the pod networks that we believe that cluster has."""
    return Policy(
        name="liqo-tenants-slices",
        kinds=[(ENDPOINT_SLICE, [""])],
        operations=["CREATE", "UPDATE"],
        applies=IS_TENANT,
        checks=[
            Check(
                "object.addressType in ['IPv4', 'IPv6'] && object.?endpoints.orValue([]).all(e, "
                "e.addresses.all(a, isIP(a) && "
                f"{_BELIEVED}.exists(c, isCIDR(c) && cidr(c).containsIP(a))))",
                "EndpointSlices of another cluster hold addresses of its pods only, inside the networks that this "
                f"cluster believes it has (annotation {POD_CIDRS_ANNOTATION} of the namespace)",
            ),
            Check(
                "object.?endpoints.orValue([]).all(e, !has(e.nodeName) && !has(e.targetRef))",
                "what runs elsewhere is on no node of this cluster",
            ),
        ],
    )


def _secrets() -> Policy:
    """Let nobody put a Secret where a home cluster reads all of them: it is to read its own only."""
    return Policy(
        name="liqo-places-secrets",
        kinds=[(SECRET, [""])],
        operations=["CREATE", "UPDATE"],
        applies=f"!({IS_TENANT})",
        labels=[HOME_NAMESPACE_LABEL],
        checks=[
            Check(
                "false",
                "this namespace stands for one of another cluster's, which reads all Secrets in it: none of this "
                "cluster's belongs here",
            )
        ],
    )


def _reach() -> Policy:
    """Bound what has no new object: a deletion, and a connection into a container."""
    connections = ("attach", "exec", "portforward")
    pod = f"oldObject.metadata.?annotations[?'{HOME_UID_ANNOTATION}'].hasValue()"
    return Policy(
        name="liqo-tenants-reach",
        kinds=[(POD, ["", *connections]), *((kind, [""]) for kind in _CONTENT)],
        operations=["DELETE", "CONNECT"],
        applies=IS_TENANT,
        checks=[
            _in_its_own_namespaces(),
            Check(
                "request.operation != 'DELETE' || "
                f"(request.resource.resource == '{POD.plural}' ? {pod} : {_is_managed('oldObject')})",
                "another cluster deletes what it made itself only",
            ),
        ],
    )


def _in_its_own_namespaces() -> Check:
    return Check(
        f"namespaceObject.metadata.?labels[?'{CLUSTER_ID_LABEL}'].orValue('') == {_TENANT_ID} && "
        f"namespaceObject.metadata.?labels[?'{HOME_NAMESPACE_LABEL}'].hasValue()",
        "this namespace is not one of that cluster's here",
    )


def _metadata() -> list[Check]:
    """Return what keeps an object from hanging, and from vanishing with another."""
    return [
        Check(
            f"object.metadata.?{field} == (oldObject == null ? optional.none() : oldObject.metadata.?{field})",
            f"metadata.{field} is not another cluster's to set",
        )
        for field in ("finalizers", "ownerReferences")
    ]


def _written_by_liqo() -> Check:
    return Check(
        f"{_is_managed('object')} && (oldObject == null || {_is_managed('oldObject')})",
        f"another cluster's objects have the label {MANAGED_LABEL}: liqo, and it changes those only",
    )


def _is_managed(obj: str) -> str:
    return f"{obj}.metadata.?labels[?'{MANAGED_LABEL}'].orValue('') == 'liqo'"


def _at_first(check: Check) -> Check:
    return Check(f"oldObject != null || {check.expression}", check.message)


def _listed(names: Sequence[str]) -> str:
    """Return names as a list in CEL."""
    return f"[{', '.join(repr(name) for name in names)}]"
