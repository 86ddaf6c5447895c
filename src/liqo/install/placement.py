"""What holds for everybody about where pods run abroad, whether a controller of ours answers or not; pure.

The scheduler, a cluster's administrators and their tools are bound by it like all others. No host of a cluster may
have a name that virtual nodes have.
"""

from liqo.api.bounds import CLUSTERS_MAX, FOREIGN_NAME
from liqo.api.kinds import BINDING, NAMESPACE, POD
from liqo.api.names import CLUSTERS_ANNOTATION, ENABLED_LABEL, LABEL_MAX, NODE_PREFIX
from liqo.install.policy import Check, Policy

_ENABLED = f"metadata.?labels['{ENABLED_LABEL}']"
_NAMED = f"metadata.?annotations['{CLUSTERS_ANNOTATION}']"
_TEXT_MAX = CLUSTERS_MAX * (LABEL_MAX + len(", "))


def forge_placement() -> list[Policy]:
    """Return the policies about pods on virtual nodes, and about what a namespace says of them."""
    return [_pods(), _running(), _namespaces()]


def _pods() -> Policy:
    """Bind a pod by itself (spec.nodeName), by its subresource, and by the older kind: all three end on a node."""
    sent = "request.resource.resource == 'pods' && request.?subResource.orValue('') == ''"
    node = f"({sent} ? object.spec.?nodeName : object.?target.?name).orValue('')"
    return Policy(
        name="liqo-placement",
        kinds=[(POD, ["", "binding"]), (BINDING, [""])],
        operations=["CREATE"],
        applies=f"{node}.startsWith('{NODE_PREFIX}')",
        checks=[
            Check(
                f"namespaceObject.{_ENABLED}.orValue('') == 'true'",
                "pods of this namespace do not run on other clusters; its owner says that they may: "
                "liqo offload NAMESPACE",
            )
        ],
    )


def _running() -> Policy:
    """Refuse at once what would be taken here, and never come about there."""
    asked = "request.?subResource.orValue('')"
    return Policy(
        name="liqo-running",
        kinds=[(POD, ["ephemeralcontainers", "resize"])],
        operations=["UPDATE"],
        applies=f"object.spec.?nodeName.orValue('').startsWith('{NODE_PREFIX}')",
        checks=[
            Check(
                f"{asked} != 'ephemeralcontainers'",
                "a pod that runs on another cluster takes no ephemeral containers; use kubectl exec, or kubectl "
                "debug with --copy-to and --profile=baseline",
            ),
            Check(
                f"{asked} != 'resize'",
                "a pod that runs on another cluster is not resized in place; make it anew with other resources",
            ),
        ],
        forbids=False,
    )


def _namespaces() -> Policy:
    """Refuse what could not mean anything at once, and only then: an old mistake is nobody's obstacle."""
    changed = " || ".join(
        f"object.{what} != (oldObject == null ? optional.none() : oldObject.{what})"
        for what in (_ENABLED, _NAMED)
    )
    text = f"object.{_NAMED}.orValue('')"
    return Policy(
        name="liqo-opt-in",
        kinds=[(NAMESPACE, [""])],
        operations=["CREATE", "UPDATE"],
        applies=changed,
        checks=[
            Check(
                f"object.{_ENABLED}.orValue('true') in ['true', 'false']",
                f"the label {ENABLED_LABEL} is true or false",
            ),
            Check(
                f"size({text}) <= {_TEXT_MAX} && size({text}.split(',')) <= {CLUSTERS_MAX}",
                f"the annotation {CLUSTERS_ANNOTATION} names at most {CLUSTERS_MAX} clusters",
            ),
            Check(
                f"size({text}) > {_TEXT_MAX} || {text}.trim() == '' || "
                f"{text}.split(',').all(n, n.trim().matches('{FOREIGN_NAME}'))",
                f"the annotation {CLUSTERS_ANNOTATION} holds names of ForeignClusters or ClusterIDs, with commas: "
                "liqo clusters",
            ),
        ],
        forbids=False,
    )
