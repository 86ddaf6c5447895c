"""Priority levels of their own for strangers, so that a flood of them costs nobody else his place; pure.

By default all anonymous callers share a level with people who hold certificates, and nothing limits them. API
Priority and Fairness bounds what is under way at once, not how many requests come or are kept.

To ask and to read are two levels: a request takes a webhook's time and a read next to none, so that in one line a
flood of requests would keep most of those who are welcome from reading what they need before they ask.
"""

from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST, FLOW_SCHEMA, PRIORITY_LEVEL
from liqo.api.meta import Kind, Wire
from liqo.api.names import DOOR, STRANGERS
from liqo.api.rights import Objects, forge_object
from liqo.install.rights import UNAUTHENTICATED

PRECEDENCE = 500  # before `global-default` (9,900), after the API server's own
QUEUE_LENGTH = 10
READING = f"{STRANGERS}-reading"


def forge_flow(ns: str) -> Objects:
    """Return the levels and what goes there."""
    return [
        *_forge_level(STRANGERS, ns, FEDERATION_REQUEST, "create"),
        *_forge_level(READING, ns, CONFIG_MAP, "get"),
    ]


def _forge_level(name: str, ns: str, kind: Kind, verb: str) -> Objects:
    """Return a level with one share, nothing lent, nothing borrowed, a short queue; and what goes there."""
    queuing = {"queues": 1, "handSize": 1, "queueLengthLimit": QUEUE_LENGTH}
    level: Wire = {
        "type": "Limited",
        "limited": {
            "nominalConcurrencyShares": 1,
            "lendablePercent": 0,
            "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": queuing},
        },
    }
    resources = {
        "apiGroups": [kind.group],
        "namespaces": [ns],
        "resources": [kind.plural],
        "verbs": [verb],
    }
    subjects = [
        {"kind": "Group", "group": {"name": UNAUTHENTICATED}},
        {"kind": "ServiceAccount", "serviceAccount": {"namespace": ns, "name": DOOR}},
    ]
    schema: Wire = {
        "matchingPrecedence": PRECEDENCE,
        "priorityLevelConfiguration": {"name": name},
        "rules": [{"subjects": subjects, "resourceRules": [resources]}],
    }
    return [
        (PRIORITY_LEVEL, forge_object(PRIORITY_LEVEL, name, spec=level)),
        (FLOW_SCHEMA, forge_object(FLOW_SCHEMA, name, spec=schema)),
    ]
