"""What draws a pod to virtual nodes, and what keeps one off them; pure.

namespace       pod                                  gets
---------       ---                                  ----
enabled         any                                  the toleration; affinity to real nodes, and to the virtual ones
                                                     of clusters that count for the namespace
enabled         that can only run at home            the affinity, no toleration, and an annotation that says why
any             of a DaemonSet                       as in a namespace that is not enabled
not enabled     that tolerates the virtual nodes     affinity to real nodes only
not enabled     any other                            nothing: the taint keeps it off

The affinity speaks of labels of virtual nodes, so that a cluster that is joined later counts at once. A pod that
was changed already is not changed again: another webhook may have had its turn in between.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from liqo.api.bounds import CLUSTER_ID
from liqo.api.meta import Wire
from liqo.api.names import (
    AUTOJOINED_LABEL,
    CLUSTER_ID_LABEL,
    CLUSTERS_ANNOTATION,
    FOREIGN_CLUSTER_LABEL,
    NODE_TAINT,
    NODE_TYPE_LABEL,
    STAYS_ANNOTATION,
    VIRTUAL_NODE,
)
from liqo.errors import Refused
from liqo.node.forge_pod import check
from liqo.node.optin import is_enabled, is_narrowed, named_clusters

TOLERATION: Wire = {"key": NODE_TAINT, "operator": "Exists", "effect": "NoExecute"}
REAL: Wire = {"key": NODE_TYPE_LABEL, "operator": "NotIn", "values": [VIRTUAL_NODE]}
JOINED: Wire = {"key": AUTOJOINED_LABEL, "operator": "DoesNotExist"}  # real nodes have no such label either

_CLUSTER_ID = re.compile(CLUSTER_ID)
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What becomes of an object: changes to it (RFC 6902), and what its sender should know."""

    patch: Sequence[Wire] = ()
    warnings: Sequence[str] = ()


def draw(pod: Wire, namespace: Wire | None) -> Drawn:
    """Return what becomes of a new pod.

    Args:
        pod: as it was sent.
        namespace: its namespace if that is enabled, else None.
    """
    spec = pod["spec"]
    if namespace is None or not is_enabled(namespace) or _is_of_a_daemon_set(pod):
        return Drawn(_keep_off(spec, "/spec"))
    choices, warnings = _choices(namespace)
    patch = _confine(spec, "/spec", choices)
    try:
        check(spec)
    except Refused as refusal:
        patch += _annotate(pod["metadata"], refusal.message)
        if not pod["metadata"].get("ownerReferences"):  # who made it is a program, and has nobody to tell
            warnings.append(f"this pod stays on its own cluster: {refusal.message}")
    else:
        if not tolerates(spec):
            patch.append(_put("/spec", "tolerations", [*(spec.get("tolerations") or ()), TOLERATION]))
    return Drawn(patch, warnings)


def draw_template(workload: Wire) -> Drawn:
    """Return what becomes of a DaemonSet: no virtual node counts among those that it wants a pod on.

    Its controller reads the template's affinity, so that no pod is made which nothing could run, and that a rolling
    update would wait for.
    """
    return Drawn(_keep_off(workload["spec"]["template"]["spec"], "/spec/template/spec"))


def tolerates(spec: Mapping[str, Any]) -> bool:
    """Return whether pods of a spec tolerate the taint of virtual nodes, by name or as one of all."""
    return any(
        t.get("key", "") in {"", NODE_TAINT} and t.get("effect", "") in {"", "NoExecute"}
        for t in spec.get("tolerations") or ()
    )


def _keep_off(spec: Wire, path: str) -> list[Wire]:
    return _confine(spec, path, [REAL]) if tolerates(spec) else []


def _choices(namespace: Wire) -> tuple[list[Wire], list[str]]:
    """Return the nodes that count for a namespace: each that meets one of the requirements; and warnings."""
    if not is_narrowed(namespace):
        return [JOINED], []
    names = sorted(named_clusters(namespace))
    if not names:
        return [REAL], [
            f"{CLUSTERS_ANNOTATION} of the namespace names no cluster that could be; pods stay here"
        ]
    ids = [name for name in names if _CLUSTER_ID.match(name)]
    choices = [REAL, {"key": FOREIGN_CLUSTER_LABEL, "operator": "In", "values": names}]
    if ids:
        choices.append({"key": CLUSTER_ID_LABEL, "operator": "In", "values": ids})
    return choices, []


def _confine(spec: Wire, path: str, choices: Sequence[Wire]) -> list[Wire]:
    """Return the change that lets a pod run only where one of the requirements is met, besides its own.

    Terms are alternatives, and what is in one holds together (core/v1 NodeSelectorTerm): each is multiplied by the
    choices. An empty one matches nothing, and stays so.
    """
    affinity = spec.get("affinity") or {}
    of_nodes = affinity.get("nodeAffinity") or {}
    terms: list[Wire] = (of_nodes.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    fresh = [t for term in terms or [{"matchExpressions": []}] for t in _narrow(term, choices)]
    if fresh == terms:
        return []
    required = {_REQUIRED: {"nodeSelectorTerms": fresh}}
    return [_put(path, "affinity", {**affinity, "nodeAffinity": {**of_nodes, **required}})]


def _narrow(term: Wire, choices: Sequence[Wire]) -> list[Wire]:
    have = term.get("matchExpressions") or []
    is_empty = "matchExpressions" not in term and not term.get("matchFields")
    if is_empty or any(choice in have for choice in choices):
        return [term]
    return [{**term, "matchExpressions": [*have, choice]} for choice in choices]


def _annotate(metadata: Wire, why: str) -> list[Wire]:
    have = metadata.get("annotations") or {}
    if have.get(STAYS_ANNOTATION) == why:
        return []
    return [_put("/metadata", "annotations", {**have, STAYS_ANNOTATION: why})]


def _put(path: str, field: str, value: object) -> Wire:
    """Return the change that sets a field, whether it was there or not (RFC 6902 §4.1)."""
    return {"op": "add", "path": f"{path}/{field}", "value": value}


def _is_of_a_daemon_set(pod: Wire) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(o.get("kind") == "DaemonSet" and o.get("apiVersion", "").startswith("apps/") for o in owners)
