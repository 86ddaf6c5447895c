"""What a pod takes of its node; pure, exact integers (quantity.py)."""

from collections.abc import Mapping

from liqo.api.meta import Wire
from liqo.api.quantity import UNIT, add, parse_amounts


def requests(pod: Wire) -> dict[str, int]:
    """Return what a pod takes of its node, itself included as one of `pods`.

    The larger of all containers together and of each init container, where a sidecar (an init container that
    restarts always) counts as a container; and the overhead (KEP-753, resource helpers of the scheduler).
    """
    spec = pod.get("spec", {})
    running: dict[str, int] = add(_asked(c) for c in spec.get("containers") or ())
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            running = add((running, _asked(container)))
            peak = _larger(peak, running)
        else:
            peak = _larger(peak, _asked(container))
    total = add((_larger(running, peak), parse_amounts(spec.get("overhead") or {})))
    return {**total, "pods": UNIT}


def _asked(container: Wire) -> dict[str, int]:
    return parse_amounts((container.get("resources") or {}).get("requests") or {})


def _larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {*one, *other}}
