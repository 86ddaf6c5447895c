"""What the pod at home says, from what the pod on foreign says; pure.

A fixed list of fields, each of a type that is looked at: the other cluster writes its pod's status as it likes, and
through pods/status even labels could be changed.
"""

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from liqo.api.kinds import POD
from liqo.api.meta import Wire, format_time, parse_time
from liqo.api.reasons import Reason

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
OVER = {"Succeeded", "Failed"}
CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "ContainersReady",
    "Ready",
    "DisruptionTarget",
)
"""Those that who runs a pod writes; PodScheduled is home's own scheduler's."""

FOREIGN_SCHEDULED = "liqo.io/ForeignScheduled"  # False while no node of the other cluster takes it
TEXT_MAX = 1_024
CONTAINERS_MAX = 256
GATES_MAX = 64

CONTAINER_TEXT = ("name", "image", "imageID", "containerID")
STATES = {
    "waiting": ("reason", "message"),
    "running": ("startedAt",),
    "terminated": ("reason", "message", "startedAt", "finishedAt", "containerID"),
}
PLAIN = ("phase", "reason", "message", "startTime", "podIP", "hostIP", "observedGeneration")
GROUPS = ("containerStatuses", "initContainerStatuses")


def forge_status(
    home: Wire, remote: Wire, address: str, known_ip: Callable[[str], bool], *, current: bool = True
) -> Wire:
    """Return the status of the pod at home.

    Args:
        home: the pod there.
        remote: the one on foreign.
        address: of the virtual node; "" if it has none.
        known_ip: whether an address may be a pod's over there.
        current: whether what home's pod is now has arrived on foreign.
    """
    told = remote.get("status") or {}
    status: Wire = {"phase": told["phase"] if told.get("phase") in PHASES else "Pending"}
    for name in ("reason", "message"):
        if text := _text(told.get(name)):
            status[name] = text
    since = _time(told.get("startTime"))
    if since:
        status["startTime"] = since
    addresses = [
        ip for entry in _list(told.get("podIPs")) if (ip := _address(entry.get("ip"))) and known_ip(ip)
    ]
    if addresses:
        status["podIP"] = addresses[0]
        status["podIPs"] = [{"ip": ip} for ip in addresses[:2]]
    if address and since:  # a kubelet says so when it has taken the pod; before, there is nothing to tell
        status["hostIP"] = address
        status["hostIPs"] = [{"ip": address}]
    for group in GROUPS:
        if found := [_container(c) for c in _list(told.get(group))]:
            status[group] = found
    status["conditions"] = _conditions(home, told)
    if generation := _observed(home, remote, current=current):
        status["observedGeneration"] = generation
        for condition in status["conditions"]:
            condition["observedGeneration"] = generation
    return status


def _observed(home: Wire, remote: Wire, *, current: bool) -> int:
    """Return which generation of the pod at home runs (KEP-5067), as far as foreign tells; 0 if nobody knows.

    A change that did not arrive there yet leaves what was told before.
    """
    told, sent = remote.get("status") or {}, remote["metadata"].get("generation")
    if current and sent and told.get("observedGeneration") == sent:
        found = home["metadata"].get("generation")
    else:
        found = (home.get("status") or {}).get("observedGeneration")
    return found or 0


def _conditions(home: Wire, told: Wire) -> list[Wire]:
    """Return our conditions of the pod at home, whose readiness gates are its own."""
    found = {}
    for condition in _list(told.get("conditions")):
        kind = condition.get("type")
        if kind in CONDITIONS:
            found[kind] = _condition(kind, condition)
        elif kind == "PodScheduled" and condition.get("status") == "False":
            found[FOREIGN_SCHEDULED] = _condition(FOREIGN_SCHEDULED, condition)
    ready = found.get("Ready")
    if ready is not None and ready["status"] == "True":
        own = {c["type"]: c["status"] for c in (home.get("status") or {}).get("conditions") or ()}
        gates = [g["conditionType"] for g in home["spec"].get("readinessGates") or ()][:GATES_MAX]
        if closed := [g for g in gates if own.get(g) != "True"]:
            message = f"the status of pod readiness gate {closed[0]!r} is not True"
            ready |= {"status": "False", "reason": "ReadinessGatesNotReady", "message": message[:TEXT_MAX]}
    return [found[kind] for kind in sorted(found)]


def _condition(kind: str, told: Mapping[str, Any]) -> Wire:
    status = told.get("status")
    forged: Wire = {"type": kind, "status": status if status in ("True", "False") else "Unknown"}
    for name in ("reason", "message"):
        if text := _text(told.get(name)):
            forged[name] = text
    if since := _time(told.get("lastTransitionTime")):
        forged["lastTransitionTime"] = since
    return forged


def _container(told: Mapping[str, Any]) -> Wire:
    """Return one container's status; the fields that the API server wants are always there."""
    forged: Wire = {name: _text(told.get(name)) for name in CONTAINER_TEXT}
    if not forged["containerID"]:
        del forged["containerID"]
    restarts = told.get("restartCount")
    forged["restartCount"] = restarts if isinstance(restarts, int) and 0 <= restarts < 2**31 else 0
    forged["ready"] = told.get("ready") is True
    if isinstance(told.get("started"), bool):
        forged["started"] = told["started"]
    for name in ("state", "lastState"):
        if state := _state(told.get(name)):
            forged[name] = state
    return forged


def _state(told: Any) -> Wire:
    if not isinstance(told, dict):
        return {}
    for kind, fields in STATES.items():
        if isinstance(found := told.get(kind), dict):
            forged: Wire = {
                name: text
                for name in fields
                if (text := (_time if name.endswith("At") else _text)(found.get(name)))
            }
            if kind == "terminated":
                for name in ("exitCode", "signal"):
                    if isinstance(number := found.get(name), int) and abs(number) < 2**31:
                        forged[name] = number
                forged.setdefault("exitCode", 0)
            return {kind: forged}
    return {}


def forge_refused(home: Wire, reason: str, message: str) -> Wire:
    """Return the status of a pod that is not on foreign: it waits, and says for what."""
    containers = [
        {
            "name": c["name"],
            "image": c.get("image", ""),
            "imageID": "",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": str(reason), "message": message[:TEXT_MAX]}},
        }
        for c in home["spec"]["containers"]
    ]
    return {"phase": "Pending", "containerStatuses": containers}


def is_refused_there(pod: Wire) -> bool:
    """Return whether it was told last of a pod at home that the other cluster refuses it."""
    told = (pod.get("status") or {}).get("containerStatuses") or ()
    waits: Iterator[Wire] = ((c.get("state") or {}).get("waiting") or {} for c in told)
    return any(w.get("reason") == Reason.REFUSED_THERE for w in waits)


def forge_away(home: Wire) -> Wire:
    """Return the status of a pod whose cluster does not answer: as it was told last, and not Ready for all we know."""
    old = home.get("status") or {}
    status = {k: old[k] for k in (*GROUPS, *PLAIN, "podIPs", "hostIPs") if k in old}
    unknown = {"status": "False", "reason": str(Reason.FOREIGN_AWAY), "message": Reason.FOREIGN_AWAY.sentence}
    mine = [c for c in old.get("conditions") or () if c["type"] in {*CONDITIONS, FOREIGN_SCHEDULED}]
    return status | {"conditions": [c | unknown if c["type"] == "Ready" else c for c in mine]}


def forge_lost(home: Wire) -> Wire:
    """Return the status of a pod whose counterpart the other cluster took away: it failed, and is not run again."""
    old = home.get("status") or {}
    status = {k: old[k] for k in ("startTime", "hostIP", "hostIPs", "podIP", "podIPs") if k in old}
    conditions = [
        {**c, "status": "False", "reason": "PodFailed"} if c["type"] in {"Ready", "ContainersReady"} else c
        for c in old.get("conditions") or ()
        if c["type"] in CONDITIONS
    ]
    return {
        **status,
        "phase": "Failed",
        "reason": str(Reason.TAKEN_AWAY),
        "message": Reason.TAKEN_AWAY.sentence,
        "conditions": conditions,
    }


def is_told(home: Wire, wanted: Wire) -> bool:
    """Return whether the pod at home says it already, for all that we write."""
    seen = home.get("status") or {}
    for name in (*GROUPS, *PLAIN):
        if _bare(seen.get(name)) != _bare(wanted.get(name)):
            return False
    mine = {
        c["type"]: c for c in seen.get("conditions") or () if c["type"] in {*CONDITIONS, FOREIGN_SCHEDULED}
    }
    fresh = {c["type"]: c for c in wanted.get("conditions") or ()}
    return set(mine) == set(fresh) and all(
        mine[t].get(k) == c.get(k) for t, c in fresh.items() for k in ("status", "reason", "message")
    )


def forge_body(home: Wire, status: Wire) -> Wire:
    """Return the apply of a pod's status; with its uid, so that it never goes to another pod of that name."""
    metadata = {k: home["metadata"][k] for k in ("name", "namespace", "uid")}
    return {"apiVersion": POD.api_version, "kind": POD.kind, "metadata": metadata, "status": status}


def _bare(value: Any) -> Any:
    """Return a value without what is empty, as the API server leaves it out."""
    if isinstance(value, dict):
        return {k: bare for k, v in value.items() if (bare := _bare(v)) not in (None, "", {}, [])}
    if isinstance(value, list):
        return [_bare(v) for v in value]
    return value or None


def _list(told: Any) -> list[Mapping[str, Any]]:
    """Return the maps in a list, at most CONTAINERS_MAX."""
    return [e for e in told[:CONTAINERS_MAX] if isinstance(e, dict)] if isinstance(told, list) else []


def _text(told: Any) -> str:
    return told[:TEXT_MAX] if isinstance(told, str) else ""


def _time(told: Any) -> str:
    """Return a time as the API server takes it, "" if it is none."""
    try:
        return format_time(parse_time(told)) if isinstance(told, str) else ""
    except (ValueError, OverflowError):
        return ""


def _address(told: Any) -> str:
    try:
        return str(ip_address(told)) if isinstance(told, str) else ""
    except ValueError:
        return ""
