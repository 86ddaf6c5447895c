"""What the pod at home says, from what the pod on foreign says."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from liqo.api.meta import Wire
from liqo.api.reasons import Reason
from liqo.node.pod_status import forge_away, forge_lost, forge_refused, forge_status, is_told

ADDRESS = "10.0.0.9"
HOME: Wire = {
    "metadata": {"name": "web", "namespace": "shop", "uid": "a"},
    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
}
RUNNING: Wire = {
    "phase": "Running",
    "startTime": "2026-01-01T00:00:00Z",
    "podIP": "10.1.0.4",
    "podIPs": [{"ip": "10.1.0.4"}],
    "hostIP": "192.168.0.7",
    "qosClass": "BestEffort",
    "conditions": [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"},
        {"type": "made.up/Thing", "status": "True"},
    ],
    "containerStatuses": [
        {
            "name": "web",
            "image": "web:1",
            "imageID": "sha256:1",
            "containerID": "containerd://1",
            "restartCount": 2,
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            "somethingNew": 1,
        }
    ],
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def tell(told: Any, home: Wire = HOME) -> Wire:
    return forge_status(home, {"metadata": {}, "status": told}, ADDRESS, lambda ip: ip.startswith("10.1."))


def test_a_running_pod_is_told_whole_and_with_nothing_else() -> None:
    assert tell(RUNNING) == {
        "phase": "Running",
        "startTime": "2026-01-01T00:00:00Z",
        "podIP": "10.1.0.4",
        "podIPs": [{"ip": "10.1.0.4"}],
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}],
        "containerStatuses": [
            {
                "name": "web",
                "image": "web:1",
                "imageID": "sha256:1",
                "containerID": "containerd://1",
                "restartCount": 2,
                "ready": True,
                "started": True,
                "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            }
        ],
    }


def test_an_address_that_is_not_the_other_cluster_s_is_not_believed() -> None:
    assert "podIP" not in tell({**RUNNING, "podIPs": [{"ip": "10.96.0.1"}]})
    assert "podIP" not in tell({**RUNNING, "podIPs": [{"ip": "10.1.0.4; rm"}]})


def test_a_pod_that_no_node_takes_there_says_so_under_a_condition_of_ours() -> None:
    told = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    }
    assert tell(told)["conditions"] == [
        {"type": "liqo.io/ForeignScheduled", "status": "False", "reason": "Unschedulable"}
    ]


def test_a_readiness_gate_is_home_s_own() -> None:
    home = {**HOME, "spec": {**HOME["spec"], "readinessGates": [{"conditionType": "lb/attached"}]}}
    closed = next(c for c in tell(RUNNING, home)["conditions"] if c["type"] == "Ready")
    assert (closed["status"], closed["reason"]) == ("False", "ReadinessGatesNotReady")
    opened = {**home, "status": {"conditions": [{"type": "lb/attached", "status": "True"}]}}
    ready = next(c for c in tell(RUNNING, opened)["conditions"] if c["type"] == "Ready")
    assert ready["status"] == "True"


def test_what_was_told_is_not_told_again() -> None:
    told = tell(RUNNING)
    assert not is_told(HOME, told)
    kept = [*HOME["status"]["conditions"], *told["conditions"]]
    assert is_told({**HOME, "status": {**told, "qosClass": "BestEffort", "conditions": kept}}, told)


def test_one_that_was_only_created_is_nothing_new() -> None:
    assert is_told(
        HOME, forge_status(HOME, {"metadata": {}, "status": {"phase": "Pending"}}, "", lambda _ip: True)
    )


def test_a_refused_pod_waits_and_says_for_what() -> None:
    status = forge_refused(HOME, Reason.REFUSED_THERE, "exceeded quota")
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {
        "waiting": {"reason": "RefusedThere", "message": "exceeded quota"}
    }


def test_a_lost_pod_failed_and_is_not_ready() -> None:
    status = forge_lost({**HOME, "status": {**RUNNING, "podIP": "10.1.0.4"}})
    assert (status["phase"], status["reason"]) == ("Failed", "TakenAway")
    assert [c["status"] for c in status["conditions"]] == ["False"]


@given(st.dictionaries(st.sampled_from([*RUNNING, "reason", "message", "initContainerStatuses"]), JSON))
def test_whatever_a_hostile_cluster_writes_is_bounded_and_of_known_fields(told: Wire) -> None:
    status = tell(told)
    assert set(status) <= {*RUNNING, "podIPs", "hostIPs", "reason", "message", "initContainerStatuses"} - {
        "qosClass"
    }
    assert status["phase"] in {"Pending", "Running", "Succeeded", "Failed", "Unknown"}


@given(JSON)
def test_a_status_of_any_shape_is_survived(told: Any) -> None:
    assert tell(told if isinstance(told, dict) else {})["phase"]


OBSERVED: Wire = {
    "phase": "Running",
    "observedGeneration": 2,
    "conditions": [{"type": "Ready", "status": "True"}],
}


def at_home(generation: int, told: int | None = None) -> Wire:
    status = HOME["status"] | ({"observedGeneration": told} if told else {})
    return {**HOME, "metadata": {**HOME["metadata"], "generation": generation}, "status": status}


def observed(home: Wire, sent: int, *, current: bool) -> Any:
    remote = {"metadata": {"generation": sent}, "status": OBSERVED}
    status = forge_status(home, remote, ADDRESS, lambda _ip: True, current=current)
    assert {c.get("observedGeneration") for c in status["conditions"]} == {status.get("observedGeneration")}
    return status.get("observedGeneration")


def test_a_generation_is_observed_when_foreign_runs_what_was_sent_of_it() -> None:
    assert observed(at_home(5, told=4), sent=2, current=True) == 5
    assert observed(at_home(5, told=4), sent=3, current=True) == 4  # it has it, and does not run it yet
    assert observed(at_home(5, told=4), sent=2, current=False) == 4  # it has not got it yet
    assert observed(at_home(5), sent=3, current=True) is None
    assert observed(HOME, sent=2, current=True) is None  # home's API server is too old to count


def test_while_foreign_is_away_a_pod_is_not_ready_and_all_else_is_as_it_was_told_last() -> None:
    home = {**HOME, "status": tell(RUNNING)}
    away = forge_away(home)
    changed = {c["type"] for c in home["status"]["conditions"] if c not in away["conditions"]}
    assert changed == {"Ready"}
    assert {k: v for k, v in away.items() if k != "conditions"} == {
        k: v for k, v in home["status"].items() if k != "conditions"
    }
    (ready,) = [c for c in away["conditions"] if c["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ForeignAway")
    assert is_told({**home, "status": away}, away)
