"""Where the API server asks what becomes of new pods and DaemonSets; pure.

All of it fails open: while no controller answers, pods are made as they were sent, and the cluster's own pods never
wait for us. What must hold nevertheless is an admission policy (`liqo.install.placement`). Only pods of enabled
namespaces and those that tolerate the taint of virtual nodes are asked about at all.
"""

from liqo.api.kinds import DAEMON_SET, MUTATING_WEBHOOK, POD
from liqo.api.meta import Kind, Wire
from liqo.api.names import ENABLED_LABEL, NODE_TAINT, WEBHOOK_CONFIGURATION
from liqo.api.rights import forge_object
from liqo.install.webhook import TIMEOUT_SECONDS, Endpoint, forge_client

_TOLERATES = (
    "{spec}.?tolerations.orValue([]).exists(t, "
    "t.?key.orValue('') in ['', '" + NODE_TAINT + "'] && t.?effect.orValue('') in ['', 'NoExecute'])"
)
TOLERATES = _TOLERATES.format(spec="object.spec")
TEMPLATE_TOLERATES = _TOLERATES.format(spec="object.spec.template.spec")
NOT_A_MIRROR = "!('kubernetes.io/config.mirror' in object.metadata.?annotations.orValue({}))"
PATIENCE_SECONDS = 5
"""For a pod that is to be drawn: when a thousand are made at once on a busy machine, some answers take over a second,
and a pod that was not drawn stays so. A controller that does not run refuses the connection at once."""

NEW_TEMPLATE = "oldObject == null || object.spec.template != oldObject.spec.template"
"""A template that did not change stays as it is: to change it would start all pods of a DaemonSet anew."""


def forge_magnet(ns: str, endpoint: Endpoint) -> Wire:
    """Return the configuration without its CA bundle, which the controller fills in."""
    enabled = {"key": ENABLED_LABEL, "values": ["true"]}

    def hook(
        name: str, kind: Kind, operations: list[str], conditions: dict[str, str], **fields: object
    ) -> Wire:
        return {
            "name": f"{name}.liqo.io",
            "clientConfig": forge_client(ns, endpoint),
            "rules": [
                {
                    "apiGroups": [kind.group],
                    "apiVersions": [kind.version],
                    "operations": operations,
                    "resources": [kind.plural],
                    "scope": "Namespaced",
                }
            ],
            "matchConditions": [{"name": n, "expression": e} for n, e in conditions.items()],
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            "reinvocationPolicy": "IfNeeded",
            "sideEffects": "None",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "admissionReviewVersions": ["v1"],
            **fields,
        }

    mirror = {"not-a-mirror": NOT_A_MIRROR}
    return forge_object(
        MUTATING_WEBHOOK,
        WEBHOOK_CONFIGURATION,
        webhooks=[
            hook(
                "enabled.pods",
                POD,
                ["CREATE"],
                mirror,
                namespaceSelector={"matchExpressions": [{**enabled, "operator": "In"}]},
                timeoutSeconds=PATIENCE_SECONDS,
            ),
            hook(
                "other.pods",
                POD,
                ["CREATE"],
                {**mirror, "tolerates": TOLERATES},
                namespaceSelector={"matchExpressions": [{**enabled, "operator": "NotIn"}]},
            ),
            hook(
                "daemonsets",
                DAEMON_SET,
                ["CREATE", "UPDATE"],
                {"tolerates": TEMPLATE_TOLERATES, "new-template": NEW_TEMPLATE},
            ),
        ],
    )
