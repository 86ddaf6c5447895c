"""The loops of a controller, each with its queue."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from liqo.api.meta import Key
from liqo.runtime.loop import Loop, Outcome
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random
from liqo.runtime.queue import Queue

CONCURRENCY = 64  # keys at once; as many clusters may be slow to answer before one more has to wait

Reconcile = Callable[[Key], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciles:
    """One function a loop."""

    document: Reconcile
    trusted: Reconcile
    outgoing: Reconcile
    incoming: Reconcile
    invite: Reconcile
    accept: Reconcile
    offer: Reconcile
    place: Reconcile
    node: Reconcile
    map: Reconcile
    pod: Reconcile
    optin: Reconcile
    configmap: Reconcile
    secret: Reconcile
    service: Reconcile
    event: Reconcile
    found: Reconcile
    domain: Reconcile


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """One queue a loop."""

    document: Queue
    trusted: Queue
    outgoing: Queue
    incoming: Queue
    invite: Queue
    accept: Queue
    offer: Queue
    place: Queue
    node: Queue
    map: Queue
    pod: Queue
    optin: Queue
    configmap: Queue
    secret: Queue
    service: Queue
    event: Queue
    found: Queue
    domain: Queue


def make_queues(clock: Clock, random: Random) -> Queues:
    """Return empty queues."""
    return Queues(**{name: Queue(clock, random) for name in Queues.__dataclass_fields__})


def retry_all(queues: Queues) -> None:
    """Have all keys that failed handed out at once: what they failed for may be over."""
    for name in Queues.__dataclass_fields__:
        getattr(queues, name).retry()


def make_loops(reconciles: Reconciles, queues: Queues, clock: Clock, metrics: Metrics) -> list[Loop]:
    """Return the loops, not running yet."""
    return [
        Loop(
            name,
            getattr(reconciles, name),
            getattr(queues, name),
            clock=clock,
            metrics=metrics,
            concurrency=1 if name in {"document", "offer", "trusted"} else CONCURRENCY,
        )
        for name in Reconciles.__dataclass_fields__
    ]
