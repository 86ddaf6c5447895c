"""A priority level of its own for strangers, so that a flood of them costs nobody else his place; pure.

By default all anonymous callers share a level with people who hold certificates, and nothing limits them. API
Priority and Fairness bounds what is under way at once, not how many requests come or are kept.
"""

from liqo.api.kinds import CONFIG_MAP, FEDERATION_REQUEST, FLOW_SCHEMA, PRIORITY_LEVEL
from liqo.api.meta import Wire
from liqo.api.names import DOOR, STRANGERS
from liqo.api.rights import Objects, forge_object
from liqo.install.rights import UNAUTHENTICATED

PRECEDENCE = 500  # before `global-default` (9,900), after the API server's own
QUEUE_LENGTH = 10


def forge_flow(ns: str) -> Objects:
    """Return the level and what goes there: one share, nothing lent, nothing borrowed, a short queue."""
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
    schema: Wire = {
        "matchingPrecedence": PRECEDENCE,
        "priorityLevelConfiguration": {"name": STRANGERS},
        "rules": [
            {
                "subjects": [
                    {"kind": "Group", "group": {"name": UNAUTHENTICATED}},
                    {"kind": "ServiceAccount", "serviceAccount": {"namespace": ns, "name": DOOR}},
                ],
                "resourceRules": [
                    {
                        "apiGroups": [kind.group],
                        "namespaces": [ns],
                        "resources": [kind.plural],
                        "verbs": [verb],
                    }
                    for kind, verb in ((FEDERATION_REQUEST, "create"), (CONFIG_MAP, "get"))
                ],
            }
        ],
    }
    return [
        (PRIORITY_LEVEL, forge_object(PRIORITY_LEVEL, STRANGERS, spec=level)),
        (FLOW_SCHEMA, forge_object(FLOW_SCHEMA, STRANGERS, spec=schema)),
    ]
