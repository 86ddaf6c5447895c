"""Rights given to another cluster, and taken away again."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from liqo.api.kinds import NAMESPACE, ROLE_BINDING
from liqo.api.meta import Key, Kind, Wire
from liqo.errors import Unavailable
from liqo.peering.tokens import LIFETIME, Token, forge_access_review, forge_token_request, parse_token
from liqo.runtime.ports import Clock, Cluster
from liqo.runtime.settle import POLL, SETTLE, settled


async def grant(
    cluster: Cluster, objects: Sequence[tuple[Kind, Wire]], *, manager: str, clock: Clock
) -> None:
    """Apply objects, namespaces first and the rest at once.

    Some need a right that another of them grants; they are tried again until it is in force.
    """
    for wave in (True, False):
        await asyncio.gather(
            *(
                settled(partial(cluster.apply, kind, obj, manager=manager), clock)
                for kind, obj in objects
                if (kind is NAMESPACE) is wave
            )
        )


async def issue_token(
    cluster: Cluster, namespace: str, account: str, clock: Clock, *, lifetime: timedelta = LIFETIME
) -> Token:
    """Return a fresh token of a ServiceAccount."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return parse_token(
        await settled(partial(cluster.post, path, forge_token_request(lifetime)), clock), clock.now()
    )


async def revoke(
    cluster: Cluster,
    *,
    bindings: Sequence[Key],
    probe: tuple[str, str, Wire],
    then: Sequence[tuple[Kind, Key]],
    clock: Clock,
) -> None:
    """Take rights away: the bindings first, and only when they are out of force whatever could be watched.

    An open watch outlives its rights and its token, so what it shows has to be gone, not only the rights.

    Args:
        cluster: ours.
        bindings: RoleBindings.
        probe: ServiceAccount, its namespace and the resourceAttributes that must be refused.
        then: deleted afterwards, in this order.
        clock: waits between two looks.

    Raises:
        Unavailable: the rights are still in force after SETTLE.
    """
    for key in bindings:
        await cluster.delete(ROLE_BINDING, key)
    account, namespace, attributes = probe
    review = forge_access_review(account, namespace, attributes)
    end = clock.now() + SETTLE
    while (await cluster.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review))["status"][
        "allowed"
    ]:
        if clock.now() >= end:
            raise Unavailable(f"the rights of {account} are still in force", reason="StillAllowed")
        await clock.sleep(POLL)
    for kind, key in then:
        await cluster.delete(kind, key)
