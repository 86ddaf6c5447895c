"""The LAN agent: what it may do, what holds it to that, and its pod; pure.

It parses what any neighbour sends, on the host's network, so it is the process that is most likely to be taken
over. It may add clusters that were found, unjoined, and say where the LAN shows them; nothing else.
"""

from liqo.api.foreign_cluster import ForeignClusterSpec, ForeignClusterStatus
from liqo.api.kinds import (
    CLUSTER_CONFIG,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    FOREIGN_CLUSTER,
    NODE,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, LAN_AGENT, WELL_KNOWN_CONFIG_MAP
from liqo.api.rights import Objects, forge_account_subject, forge_object, forge_role_ref, forge_rule
from liqo.install.policy import Check, Policy, account_user
from liqo.install.rights import PUBLIC_NAMESPACE, cluster_info_rules

HEALTH_PORT = 8081  # on the host's network, where the controller may be too
NOBODY = 65_534
SELECTOR = {"app.kubernetes.io/name": LAN_AGENT}
SOURCE = "lan"  # its entry in status.sources
_FOUND = {
    "allow_untrusted_ca",
    "api_url",
    "cluster_id",
    "cluster_name",
    "discovery_type",
    "door_url",
    "incoming",
    "join",
    "namespace",
}
"""Fields of spec that it may fill; all others are people's, also those that come later."""
_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


def forge_lan_rights(ns: str) -> Objects:
    """Return the agent's ServiceAccount and rights."""
    subjects = [forge_account_subject(ns, LAN_AGENT)]
    bindings: Objects = [
        (SERVICE_ACCOUNT, forge_object(SERVICE_ACCOUNT, LAN_AGENT, ns)),
        (CLUSTER_ROLE, forge_object(CLUSTER_ROLE, LAN_AGENT, rules=lan_cluster_rules())),
        (
            CLUSTER_ROLE_BINDING,
            forge_object(
                CLUSTER_ROLE_BINDING,
                LAN_AGENT,
                roleRef=forge_role_ref(CLUSTER_ROLE, LAN_AGENT),
                subjects=subjects,
            ),
        ),
    ]
    for where, name, rules in (
        (ns, LAN_AGENT, lan_rules()),
        (PUBLIC_NAMESPACE, f"{LAN_AGENT}-cluster-info", cluster_info_rules()),
    ):
        ref = forge_role_ref(ROLE, name)
        bindings += [
            (ROLE, forge_object(ROLE, name, where, rules=rules)),
            (ROLE_BINDING, forge_object(ROLE_BINDING, name, where, roleRef=ref, subjects=subjects)),
        ]
    return bindings


def lan_cluster_rules() -> list[Wire]:
    """Return the agent's rights in the whole cluster."""
    return [
        forge_rule(FOREIGN_CLUSTER, ["create", "list", "watch"]),  # found and unjoined ones only (policy)
        forge_rule(FOREIGN_CLUSTER, ["patch"], subresource="status"),  # its own source only (policy)
        forge_rule(CLUSTER_CONFIG, ["get", "list", "watch"]),
        forge_rule(NODE, ["list", "watch"]),  # a control plane's address, where nothing else tells it
    ]


def lan_rules() -> list[Wire]:
    """Return the agent's rights in Liqo's own namespace: to know who we are, and what strangers are told."""
    return [
        forge_rule(CONFIG_MAP, ["get"], names=[CLUSTER_ID_CONFIG_MAP]),
        forge_rule(CONFIG_MAP, ["get", "list", "watch"], names=[WELL_KNOWN_CONFIG_MAP]),  # where our door is
    ]


def forge_lan_fences(ns: str) -> list[Policy]:
    """Return what is refused to the agent, though RBAC lets it pass."""
    applies = f"request.userInfo.username == '{account_user(ns, LAN_AGENT)}'"
    others = [f.alias or name for name, f in ForeignClusterStatus.model_fields.items() if name != "sources"]
    people_s = [f.alias or name for name, f in ForeignClusterSpec.model_fields.items() if name not in _FOUND]
    kept = f".?sources.orValue([]).filter(s, s.name != '{SOURCE}')"
    return [
        Policy(
            name="liqo-lan-create",
            kinds=[(FOREIGN_CLUSTER, [""])],
            operations=["CREATE"],
            applies=applies,
            checks=[
                Check("!object.spec.?join.orValue(false)", "the LAN agent joins nobody"),
                Check(
                    "object.spec.?discoveryType.orValue('') == 'LAN'",
                    "what the LAN agent finds is of discoveryType LAN",
                ),
                Check(
                    "object.spec.?incoming.orValue('Default') == 'Default'",
                    "the LAN agent neither allows nor denies anybody",
                ),
                *(
                    Check(f"!has(object.spec.{field})", f"spec.{field} is not the LAN agent's to set")
                    for field in people_s
                ),
                Check(
                    "object.metadata.name == object.spec.?clusterID.orValue('')",
                    "what the LAN agent finds is named by its clusterID",
                ),
                *(
                    Check(f"!has(object.metadata.{field})", f"metadata.{field} is not the LAN agent's to set")
                    for field in _METADATA
                ),
            ],
        ),
        Policy(
            name="liqo-lan-status",
            kinds=[(FOREIGN_CLUSTER, ["status"])],
            operations=["UPDATE"],
            applies=applies,
            checks=[
                Check(
                    f"object.?status{kept} == oldObject.?status{kept}",
                    f"the LAN agent writes its own source, {SOURCE}, and no other",
                ),
                *(
                    Check(
                        f"object.?status.?{field} == oldObject.?status.?{field}",
                        f"status.{field} is not the LAN agent's to write",
                    )
                    for field in others
                ),
            ],
        ),
    ]


def forge_lan_deployment(ns: str, image: str) -> Objects:
    """Return the agent's Deployment: one pod on the network of its host, where multicast arrives."""
    spec: Wire = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},  # two on one LAN would rename each other
        "selector": {"matchLabels": SELECTOR},
        "template": {"metadata": {"labels": SELECTOR}, "spec": _pod(ns, image)},
    }
    return [(DEPLOYMENT, forge_object(DEPLOYMENT, LAN_AGENT, ns, labels=SELECTOR, spec=spec))]


def _pod(ns: str, image: str) -> Wire:
    return {
        "serviceAccountName": LAN_AGENT,
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "lan",
                "image": image,
                "command": ["liqo", "lan", "--namespace", ns],
                "ports": [{"name": "health", "containerPort": HEALTH_PORT, "hostPort": HEALTH_PORT}],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": "health"}, "periodSeconds": 10},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 2},
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
