"""One admission policy (ValidatingAdmissionPolicy, CEL) as data, and as objects; pure.

Each is cheap, is skipped for everyone but those it is about, and fails closed. One is in force about half a
second after it was made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from liqo.api.kinds import ADMISSION_POLICY, ADMISSION_POLICY_BINDING
from liqo.api.meta import Kind, Wire
from liqo.api.rights import Objects, forge_object

WRITES = ("CREATE", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Check:
    """What must be true of a request, and what its sender is told if it is not."""

    expression: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One admission policy.

    Args:
        name: of the policy and of its binding.
        kinds: what it is about; with subresource names, those too.
        operations: of CREATE, UPDATE, DELETE.
        applies: a CEL expression on the request; empty for every request.
        checks: all of them must hold.
        labels: of the namespaces that it is about, all of them; none for all.
        forbids: whether a refusal is a missing right (403) rather than a bad object (422).
    """

    name: str
    kinds: Sequence[tuple[Kind, Sequence[str]]]
    operations: Sequence[str]
    applies: str
    checks: Sequence[Check]
    labels: Sequence[str] = ()
    forbids: bool = True


def forge_policy(policy: Policy) -> Objects:
    """Return one policy and the binding that puts it in force everywhere."""
    spec: Wire = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [kind.group],
                    "apiVersions": [kind.version],
                    "operations": list(policy.operations),
                    "resources": [f"{kind.plural}/{sub}" if sub else kind.plural for sub in subresources],
                }
                for kind, subresources in policy.kinds
            ]
        },
        "validations": [
            {
                "expression": c.expression,
                "message": c.message,
                "reason": "Forbidden" if policy.forbids else "Invalid",
            }
            for c in policy.checks
        ],
    }
    if policy.labels:
        spec["matchConstraints"]["namespaceSelector"] = {
            "matchExpressions": [{"key": label, "operator": "Exists"} for label in policy.labels]
        }
    if policy.applies:
        spec["matchConditions"] = [{"name": "whom-it-is-about", "expression": policy.applies}]
    binding = {"policyName": policy.name, "validationActions": ["Deny"]}
    return [
        (ADMISSION_POLICY, forge_object(ADMISSION_POLICY, policy.name, spec=spec)),
        (ADMISSION_POLICY_BINDING, forge_object(ADMISSION_POLICY_BINDING, policy.name, spec=binding)),
    ]


def account_user(ns: str, name: str) -> str:
    """Return the user name of a ServiceAccount."""
    return f"system:serviceaccount:{ns}:{name}"
