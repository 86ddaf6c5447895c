"""The loops of a controller, each with its queue."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from liqo.api.meta import Key
from liqo.node.abroad import Abroad
from liqo.runtime.loop import Loop, Outcome
from liqo.runtime.metrics import Metrics
from liqo.runtime.ports import Clock, Random
from liqo.runtime.queue import Queue
from liqo.runtime.store import Store

CONCURRENCY = 64  # keys at once; as many clusters may be slow to answer before one more has to wait
PER_CLUSTER = 32  # keys of one foreign cluster at once, in loops with a key an object
SLOW_CLUSTERS = 16  # as many as there are peers by default; one more has to wait

Reconcile = Callable[[Key], Awaitable[Outcome]]
Groups = Mapping[str, Callable[[Key], str]]
"""By loop, which foreign cluster a key is about: a slow one holds up no other."""


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


def make_groups(abroad: Abroad, pods: Store) -> Groups:
    """Return how the keys of the loops with a key an object are grouped.

    A pod belongs to the cluster on whose node it is. What goes to several clusters, and a pod that is gone, belongs to
    all on which its namespace has a place.
    """

    def of_namespace(key: Key) -> str:
        return " ".join(sorted(cluster_id for cluster_id, _ in abroad.remotes(key.namespace)))

    def of_pod(key: Key) -> str:
        return abroad.cluster_of(pods.get(key)) or of_namespace(key)

    return {"pod": of_pod, "configmap": of_namespace, "secret": of_namespace, "service": of_namespace}


def make_queues(clock: Clock, random: Random, groups: Groups) -> Queues:
    """Return empty queues."""
    return Queues(
        **{
            name: Queue(clock, random, group=groups.get(name), per_group=PER_CLUSTER if name in groups else 0)
            for name in Queues.__dataclass_fields__
        }
    )


def retry_all(queues: Queues) -> None:
    """Have all keys that failed handed out at once: what they failed for may be over."""
    for name in Queues.__dataclass_fields__:
        getattr(queues, name).retry()


def make_loops(
    reconciles: Reconciles, queues: Queues, groups: Groups, clock: Clock, metrics: Metrics
) -> list[Loop]:
    """Return the loops, not running yet."""
    several = dict.fromkeys(groups, PER_CLUSTER * SLOW_CLUSTERS)
    one = dict.fromkeys(("document", "offer", "trusted"), 1)
    return [
        Loop(
            name,
            getattr(reconciles, name),
            getattr(queues, name),
            clock=clock,
            metrics=metrics,
            concurrency=(several | one).get(name, CONCURRENCY),
        )
        for name in Reconciles.__dataclass_fields__
    ]
