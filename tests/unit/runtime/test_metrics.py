"""Metrics are declared once, with a meaning, and with labels that nobody else chooses."""

from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest

from liqo.runtime.metrics import Metrics, describe


def test_every_metric_is_described_and_named_after_us() -> None:
    described = describe()
    assert len({name for name, *_ in described}) == len(described) >= 12
    for name, kind, labels, text in described:
        assert name.startswith("liqo_")
        assert name.endswith("_total") == (kind == "counter")
        assert text.endswith(".")
        assert not {"name", "namespace", "uid", "peer"} & set(labels)


def test_what_is_described_is_what_is_shown() -> None:
    shown = generate_latest(Metrics(CollectorRegistry()).registry).decode()
    for name, kind, _, text in describe():
        assert f"# HELP {name} {text}\n# TYPE {name} {kind}" in shown


def test_a_request_is_counted_and_timed_but_a_watch_is_not_timed() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.observe_request("home", "get", "pods", 200, timedelta(seconds=1))
    metrics.observe_request("home", "watch", "pods", 200, timedelta(seconds=300))
    value = metrics.registry.get_sample_value
    for verb, timed in (("get", 1), ("watch", None)):
        labels = {"cluster": "home", "verb": verb, "resource": "pods", "code": "200"}
        assert value("liqo_api_requests_total", labels) == 1
        assert value("liqo_api_request_seconds_count", {"cluster": "home", "verb": verb}) == timed


def test_two_processes_worth_of_metrics_do_not_meet() -> None:
    Metrics(CollectorRegistry())
    Metrics(CollectorRegistry())
