"""Asks our own API server who a caller of the kubelet endpoint is and what he may, as a kubelet does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar

from liqo.api.meta import Wire
from liqo.runtime.ports import Clock, Cluster
from liqo.runtime.secret import Secret
from liqo.serve.kubelet import Caller

ACCESS_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TOKEN_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  a path
YES_FOR = timedelta(seconds=60)  # how long an answer is believed
NO_FOR = timedelta(seconds=5)
ANSWERS_MAX = 1024
TOKENS_AT_ONCE = 8  # anybody may send one that nobody knows, and the API server has others to answer

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Memory(Generic[K, V]):
    """Answers that are believed for a while."""

    clock: Clock
    _known: dict[K, tuple[V, datetime]] = field(default_factory=dict)

    async def answer(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        known = self._known.get(key)
        if known is not None and self.clock.now() < known[1]:
            return known[0]
        value = await ask()
        if len(self._known) >= ANSWERS_MAX:
            self._known.clear()
        self._known[key] = value, self.clock.now() + (YES_FOR if value else NO_FOR)
        return value


class Reviews:
    """Asks, and remembers the answers for a while."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._rights: _Memory[tuple[Caller, str, str, str], bool] = _Memory(clock)
        self._tokens: _Memory[bytes, Caller | None] = _Memory(clock)
        self._turns = asyncio.Semaphore(TOKENS_AT_ONCE)

    async def allows(self, caller: Caller, node: str, verb: str, subresource: str) -> bool:
        """Return whether a caller may use a subresource of a node, "" for any.

        Raises:
            Fault: the API server does not say.
        """

        async def ask() -> bool:
            review = forge_access_review(caller, node, verb, subresource)
            answer = await self._cluster.post(ACCESS_PATH, review)
            return (answer.get("status") or {}).get("allowed") is True

        return await self._rights.answer((caller, node, verb, subresource), ask)

    async def identify(self, token: Secret) -> Caller | None:
        """Return whose token that is, None if nobody's.

        Raises:
            Fault: the API server does not say.
        """

        async def ask() -> Caller | None:
            async with self._turns:
                return parse_token_review(await self._cluster.post(TOKEN_PATH, forge_token_review(token)))

        return await self._tokens.answer(sha256(token.reveal().encode()).digest(), ask)


def forge_access_review(caller: Caller, node: str, verb: str, subresource: str) -> Wire:
    """Return the question that a kubelet asks about a caller (SubjectAccessReview)."""
    attributes = {
        "version": "v1",
        "resource": "nodes",
        "subresource": subresource,
        "name": node,
        "verb": verb,
    }
    spec = {"user": caller.user, "groups": list(caller.groups), "resourceAttributes": attributes}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def forge_token_review(token: Secret) -> Wire:
    """Return the question whose token that is (TokenReview); one that is not for the API server is nobody's."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token.reveal()},
    }


def parse_token_review(answer: Wire) -> Caller | None:
    """Return whom the answer names, None if nobody."""
    status = answer.get("status") or {}
    user = status.get("user") or {}
    if status.get("authenticated") is not True or not user.get("username"):
        return None
    return Caller(user["username"], tuple(user.get("groups") or ()))
