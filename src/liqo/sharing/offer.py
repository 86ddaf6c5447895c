"""What each tenant is offered; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from liqo.api.quantity import UNIT, Amounts

NOTHING: Amounts = {
    "cpu": 0,
    "memory": 0,
    "pods": 0,
}  # said openly: an offer that is missing is being worked out
MATTERS = 20  # a change below one part in so many is not worth telling


@dataclass(frozen=True, slots=True)
class Tenant:
    """A cluster whose request was accepted."""

    cluster_id: str
    accepted_at: datetime
    used: Amounts  # by its pods here
    offered: Amounts | None  # so far


def offers(free: Amounts, tenants: Sequence[Tenant], percentage: int) -> Mapping[str, Amounts]:
    """Return what each tenant is offered, in order of acceptance, resource by resource.

    offer_k = ⌊p × (free − Σ_{j<k} max(offer_j, used_j))⌋, never below 0 (docs/explanation/peering.md).
    """
    left = dict(free)
    found: dict[str, Amounts] = {}
    for tenant in sorted(tenants, key=lambda t: (t.accepted_at, t.cluster_id)):
        offer = {name: _floor(name, max(amount, 0) * percentage // 100) for name, amount in left.items()}
        found[tenant.cluster_id] = {**NOTHING, **offer}
        for name in left:
            left[name] -= max(offer[name], tenant.used.get(name, 0))
    return found


def _floor(resource: str, amount: int) -> int:
    """Round down to what the resource comes in: cpu in millis, memory in MiB, the rest in whole ones."""
    if resource == "cpu":
        step = UNIT // 1000
    elif resource in {"memory", "ephemeral-storage"}:
        step = UNIT * 2**20
    else:
        step = UNIT
    return amount // step * step


def matters(old: Amounts | None, new: Amounts) -> bool:
    """Return whether a change of offer is worth telling: more than 5 %, a whole pod, or another resource."""
    if old is None or set(old) != set(new):
        return True
    return any(
        abs(new[name] - old[name]) * MATTERS > old[name]
        or (name == "pods" and abs(new[name] - old[name]) >= UNIT)
        for name in new
    )
