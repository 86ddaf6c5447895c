"""How an offer is spread over the namespaces of a tenant; pure.

Their quotas together are at most the offer at every moment, whatever is created at the same time: admission counts
against status.hard of a quota, which follows spec.hard a moment later, so the larger of both counts until they are
equal, and nothing is raised before what is lowered has come down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from liqo.api.meta import Wire
from liqo.api.quantity import UNIT, Amounts, parse_amounts

REQUESTS = "requests."
PRESSED = 2  # a namespace with less than this part of its fair share left is given more


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota of one namespace as it is, in amounts of what pods ask for."""

    asked: Amounts  # spec.hard
    enforced: Amounts | None  # status.hard; None: not yet
    used: Amounts

    def most(self, resource: str) -> int:
        """Return how much could be in use before long."""
        return max(self.asked.get(resource, 0), (self.enforced or {}).get(resource, 0))


def parse_quota(wire: Wire) -> Quota:
    """Read a ResourceQuota of ours."""
    status = wire.get("status") or {}
    enforced = status.get("hard")
    return Quota(
        asked=_of_pods(wire["spec"].get("hard") or {}),
        enforced=_of_pods(enforced) if enforced else None,
        used=_of_pods(status.get("used") or {}),
    )


def spread(
    offer: Amounts, quotas: Mapping[str, Quota | None], needs: Mapping[str, Amounts]
) -> dict[str, Amounts]:
    """Return the quotas to write now, by namespace; None in `quotas`: there is none yet.

    Each gets what it uses, then what home says it needs beyond that, and an equal part of what is left: a pod that
    asks for more than that part has a place too. While the sum is right and nobody is short, nothing changes. What
    is missing to the aim follows once the lowered ones are enforced: look again then.
    """
    names = sorted(quotas)
    aim = _aim(offer, names, quotas, needs)
    if not _is_due(offer, names, quotas, needs, aim):
        return {}
    found: dict[str, dict[str, int]] = {name: {} for name in names}
    for resource in sorted(offer):
        room = offer[resource] - sum(q.most(resource) for q in quotas.values() if q is not None)
        for name in names:
            quota, wanted = quotas[name], aim[name][resource]
            if quota is None:
                granted = min(wanted, max(room, 0))
                room -= granted
            elif wanted <= quota.asked.get(resource, 0):
                granted = wanted
            else:
                granted = min(wanted, quota.asked.get(resource, 0) + max(room, 0))
                room -= max(granted - quota.most(resource), 0)
            found[name][resource] = granted
    return {name: amounts for name, amounts in found.items() if _differs(quotas[name], amounts)}


def _aim(
    offer: Amounts,
    names: list[str],
    quotas: Mapping[str, Quota | None],
    needs: Mapping[str, Amounts],
) -> dict[str, dict[str, int]]:
    """Return where all quotas should end up: what is used or needed, and an equal part of the rest, in whole steps."""
    aim: dict[str, dict[str, int]] = {name: {} for name in names}
    for resource, whole in offer.items():
        left = max(whole, 0)
        for name in names:
            quota = quotas[name]
            used = min(quota.used.get(resource, 0) if quota is not None else 0, left)
            aim[name][resource] = used
            left -= used
        for name in names:
            more = min(max(_need(needs, name, resource) - aim[name][resource], 0), left)
            aim[name][resource] += more
            left -= more
        step = _step(resource)
        for position, name in enumerate(names):
            share = left // (len(names) - position) // step * step
            if position == len(names) - 1:
                share = left
            aim[name][resource] += share
            left -= share
    return aim


def _is_due(
    offer: Amounts,
    names: list[str],
    quotas: Mapping[str, Quota | None],
    needs: Mapping[str, Amounts],
    aim: Mapping[str, Amounts],
) -> bool:
    """Return whether quotas have to change: one is missing, short or nearly used up, or the sum is not the offer."""
    for resource, whole in offer.items():
        total = 0
        for name in names:
            quota = quotas[name]
            if quota is None or set(quota.asked) != set(offer):
                return True
            asked, used = quota.asked.get(resource, 0), quota.used.get(resource, 0)
            total += asked
            if asked < min(_need(needs, name, resource), aim[name][resource]):
                return True
            if (asked - used) * PRESSED < aim[name][resource] - used and asked < aim[name][resource]:
                return True
        if total != max(whole, 0):
            return True
    return False


def _need(needs: Mapping[str, Amounts], name: str, resource: str) -> int:
    return needs[name].get(resource, 0) if name in needs else 0


def _differs(quota: Quota | None, amounts: Amounts) -> bool:
    return quota is None or dict(quota.asked) != dict(amounts)


def _step(resource: str) -> int:
    """Return in what steps a resource is shared out."""
    if resource == "cpu":
        return UNIT // 1000
    return UNIT * 2**20 if resource in {"memory", "ephemeral-storage"} else UNIT


def _of_pods(hard: Mapping[str, str]) -> dict[str, int]:
    """Return what of a quota is about pods' requests, by resource."""
    return parse_amounts(
        {
            name.removeprefix(REQUESTS): text
            for name, text in hard.items()
            if name == "pods" or name.startswith(REQUESTS)
        }
    )
