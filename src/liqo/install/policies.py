"""What a stranger, a peer and a tenant may put into the objects that they write; pure.

RBAC says which objects those are, the schema what their spec looks like. Neither sees metadata, with which
anybody could make an object hang (finalizers) or vanish (ownerReferences).
"""

from liqo.api.kinds import ADVERTISEMENT, FEDERATION_REQUEST, NAMESPACE_MAP
from liqo.api.names import INVITE_PREFIX
from liqo.api.rights import PEER_PREFIX, TENANT_PREFIX, Objects
from liqo.install.fences import forge_fences
from liqo.install.lan import forge_lan_fences
from liqo.install.placement import forge_placement
from liqo.install.policy import Check, Policy, account_user, forge_policy
from liqo.install.workloads import forge_workloads

_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")


def forge_policies(ns: str) -> Objects:
    """Return all admission policies for Liqo's namespace, each with its binding."""
    return [pair for policy in policies(ns) for pair in forge_policy(policy)]


def policies(ns: str) -> list[Policy]:
    """Return what is refused, and to whom."""
    return [
        _requests(ns),
        _peers(ns),
        _tenants(),
        *forge_workloads(),
        *forge_placement(),
        *forge_fences(ns),
        *forge_lan_fences(ns),
    ]


def _requests(ns: str) -> Policy:
    """Anonymous may set what makes an object hang (finalizers) or vanish (ownerReferences): not here.

    Nobody but an invite's own account names it, and that account does nothing else.
    """
    user, prefix = "request.userInfo.username", account_user(ns, INVITE_PREFIX)
    return Policy(
        name="liqo-requests",
        kinds=[(FEDERATION_REQUEST, [""])],
        operations=["CREATE"],
        applies="",
        checks=[
            *_bare(),
            Check(
                "!has(object.metadata.generateName)", "the name is the sender's to choose: <clusterID>-<jti>"
            ),
            Check("!has(request.dryRun) || !request.dryRun", "a request is not sent as a dry run"),
            Check(
                f"{user}.startsWith('{prefix}') ? object.spec.?invite.orValue('') == "
                f"{user}.substring({len(prefix) - len(INVITE_PREFIX)}) : !has(object.spec.invite)",
                "an invite is named by whoever comes with its token, and by nobody else",
            ),
        ],
        forbids=False,
    )


def _peers(ns: str) -> Policy:
    prefix = account_user(ns, PEER_PREFIX)
    return Policy(
        name="liqo-peers",
        kinds=[(ADVERTISEMENT, [""])],
        operations=["CREATE", "UPDATE"],
        applies=f"request.userInfo.username.startsWith('{prefix}')",
        checks=[
            *_untouched(),
            Check(
                f"object.spec.clusterID == request.userInfo.username.substring({len(prefix)})",
                "an Advertisement speaks for the cluster that sends it",
            ),
        ],
        forbids=False,
    )


def _tenants() -> Policy:
    prefix = f"system:serviceaccount:{TENANT_PREFIX}"
    return Policy(
        name="liqo-tenants",
        kinds=[(NAMESPACE_MAP, [""])],
        operations=["CREATE", "UPDATE"],
        applies=f"request.userInfo.username.startsWith('{prefix}')",
        checks=[
            *_untouched(),
            Check(
                f"request.namespace == '{TENANT_PREFIX}' + object.metadata.name",
                "a tenant has one NamespaceMap, named by its clusterID",
            ),
        ],
        forbids=False,
    )


def _bare() -> list[Check]:
    """Return the checks that an object brings no metadata but its name."""
    return [
        Check(f"!has(object.metadata.{field})", f"metadata.{field} is not the sender's to set")
        for field in _METADATA
    ]


def _untouched() -> list[Check]:
    """Return the checks that a write leaves all metadata but the name as it was, or absent."""
    before = "(oldObject == null ? optional.none() : oldObject.metadata.?{field})"
    return [
        Check(
            f"object.metadata.?{field} == {before.format(field=field)}",
            f"metadata.{field} is not the sender's to set",
        )
        for field in _METADATA
    ]
