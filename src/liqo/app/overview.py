"""What `liqo status` shows: what is shared with whom, who may use it, what waits and why, how to stop; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.federation_request import FederationRequest
from liqo.api.foreign_cluster import ForeignCluster
from liqo.api.meta import find_condition
from liqo.api.reasons import ConditionType, Reason
from liqo.app.opt_in import Offloaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One cluster that may use this one."""

    name: str
    cluster_id: str
    phase: str
    offered: dict[str, str]
    stop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One cluster that this one uses."""

    name: str
    cluster_id: str
    phase: str
    node: str
    ready: bool
    why: str
    stop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something that waits, why, and what would move it."""

    what: str
    why: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """One screen."""

    cluster_id: str
    cluster_name: str
    sharing: bool
    percentage: int
    request_policy: str
    who_may: str
    shared: Sequence[Shared]
    used: Sequence[Used]
    offloaded: Sequence[Offloaded]
    waiting: Sequence[Waiting]


def look(
    cluster_id: str,
    config: ClusterConfigSpec,
    foreigns: Sequence[ForeignCluster],
    requests: Sequence[FederationRequest],
    offloaded: Sequence[Offloaded],
) -> Overview:
    """Return what a person wants to know at a glance."""
    outgoing = config.advertisement_config.outgoing
    return Overview(
        cluster_id=cluster_id,
        cluster_name=config.discovery_config.cluster_name or f"cluster-{cluster_id[:6]}",
        sharing=outgoing.enable,
        percentage=outgoing.resource_sharing_percentage,
        request_policy=config.peering_config.request_policy,
        who_may=_who_may(config),
        shared=[_shared(f) for f in foreigns if f.status.incoming and f.status.incoming.phase],
        used=[_used(f) for f in foreigns if f.spec.join or (f.status.outgoing and f.status.outgoing.phase)],
        offloaded=offloaded,
        waiting=[*_waiting_requests(requests), *(w for f in foreigns for w in _waiting_join(f))],
    )


def _who_may(config: ClusterConfigSpec) -> str:
    policy = config.peering_config
    if not config.advertisement_config.outgoing.enable:
        return "nobody: sharing is off"
    allowed = f"{len(policy.allowed_clusters)} on the allow-list" if policy.allowed_clusters else ""
    match policy.request_policy:
        case "Accept":
            return f"any cluster that reaches this API server, at most {policy.max_peers}"
        case "Manual":
            return "whoever a person accepts" + (f", and {allowed}" if allowed else "")
        case _:
            return allowed or "nobody new"


def _shared(foreign: ForeignCluster) -> Shared:
    incoming = foreign.status.incoming
    assert incoming is not None
    name = foreign.metadata.name
    return Shared(
        name=foreign.spec.cluster_name or name,
        cluster_id=foreign.spec.cluster_id or "",
        phase=incoming.phase or "",
        offered=dict(incoming.offered or {}),
        stop=f"liqo deny {name}",
    )


def _used(foreign: ForeignCluster) -> Used:
    outgoing = foreign.status.outgoing
    ready = find_condition(foreign.status.conditions, ConditionType.NODE_READY)
    return Used(
        name=foreign.metadata.name,
        cluster_id=foreign.spec.cluster_id or "",
        phase=(outgoing.phase if outgoing else None) or "",
        node=(outgoing.node_name if outgoing else None) or "",
        ready=ready is not None and ready.status == "True",
        why="" if ready is None or ready.status == "True" else f"{ready.reason}: {ready.message}",
        stop=f"liqo unjoin {foreign.metadata.name}",
    )


def _waiting_requests(requests: Sequence[FederationRequest]) -> list[Waiting]:
    return [
        Waiting(
            what=f"cluster {r.spec.cluster_name} ({r.spec.cluster_id}) asks to use this one",
            why=f"{r.status.reason or 'Pending'}: {r.status.message}".rstrip(": "),
            hint=f"liqo accept {r.spec.cluster_id}, or liqo deny"
            if r.status.reason == Reason.WAITING_FOR_PERSON
            else f"kubectl describe fr -n {r.metadata.namespace} {r.metadata.name}",
        )
        for r in requests
        if r.status.phase != "Accepted"
    ]


def _waiting_join(foreign: ForeignCluster) -> list[Waiting]:
    """Return the first step of a join that is not done."""
    if not foreign.spec.join:
        return []
    for step in (
        ConditionType.IDENTITY_VERIFIED,
        ConditionType.TRUSTED,
        ConditionType.REQUESTED,
        ConditionType.ACCEPTED,
        ConditionType.ADVERTISED,
        ConditionType.NODE_READY,
    ):
        found = find_condition(foreign.status.conditions, step)
        if found is None or found.status != "True":
            why = f"{found.reason}: {found.message}" if found is not None else "not reached yet"
            name = foreign.metadata.name
            return [Waiting(what=f"joining {name}, at {step}", why=why, hint=f"kubectl describe fc {name}")]
    return []
