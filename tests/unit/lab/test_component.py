"""Golden arguments: a change to what runs shows in the diff of plane.txt (write it again with UPDATE=1)."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from liqo.lab.component import Component, etcd, kube_apiserver, liqo, metrics_server, plane
from liqo.lab.nodes import CAPACITY, STAGES, forge_kwok_config, forge_node
from liqo.lab.plane import waves
from liqo.lab.spec import PORTS, ClusterSpec, Mode

GOLDEN = Path(__file__).parent / "plane.txt"
ROME = ClusterSpec(name="rome", index=1, folder=Path("/lab/rome"), mode=Mode.ROOT)
LOOPBACK = replace(ROME, mode=Mode.LOOPBACK, subnet="127.77.9")


def told(component: Component) -> str:
    env = "".join(f"\n  {key}={value}" for key, value in component.env.items())
    args = "".join(f"\n  {arg}" for arg in component.args)
    return f"{component.name}: {component.program}{env}{args}\n"


def test_a_cluster_is_these_programs() -> None:
    text = "".join(map(told, (*plane(ROME, ""), metrics_server(ROME), liqo(replace(ROME, skew=-90)))))
    if os.environ.get("UPDATE"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_no_anonymous_requests_is_one_flag_more() -> None:
    closed = set(kube_apiserver(replace(ROME, anonymous=False)).args) - set(kube_apiserver(ROME).args)
    assert closed == {"--anonymous-auth=false"}


def test_checking_kubelets_is_one_flag_more() -> None:
    strict = set(kube_apiserver(replace(ROME, kubelet_ca=True)).args) - set(kube_apiserver(ROME).args)
    assert strict == {"--kubelet-certificate-authority=/lab/rome/pki/ca.crt"}


def test_nothing_on_loopback_listens_on_an_address_of_somebody_else() -> None:
    text = "".join(
        told(component) for component in (*plane(LOOPBACK, ""), metrics_server(LOOPBACK), liqo(LOOPBACK))
    )
    assert "0.0.0.0" not in text
    assert "127.0.0.1" not in text
    assert "--allow-loopback" in text


def test_liqo_never_gets_an_administrators_kubeconfig() -> None:
    text = told(liqo(ROME, extra_args=("--log-level=debug",), env={"A": "b"}))
    assert "/lab/rome/controller.kubeconfig" in text
    assert "admin" not in text
    assert text.endswith("--log-level=debug\n")
    assert "A=b" in text


def test_components_start_in_waves_that_need_only_earlier_ones() -> None:
    assert [[component.name for component in wave] for wave in waves(plane(ROME, ""))] == [
        ["etcd"],
        ["kube-apiserver"],
        ["kube-controller-manager", "kube-scheduler", "kwok"],
    ]


def test_what_waits_for_nothing_that_there_is_is_our_mistake() -> None:
    with pytest.raises(ValueError, match="etcd"):
        waves([replace(etcd(ROME), after=("moon",))])


def test_the_store_stops_last_and_liqo_first() -> None:
    ordered = sorted((*plane(ROME, ""), liqo(ROME)), key=lambda component: component.stop_order)
    assert [ordered[0].name, ordered[-2].name, ordered[-1].name] == ["liqo", "kube-apiserver", "etcd"]


def test_every_probe_asks_a_service_that_the_relay_carries() -> None:
    probes = [component.probe for component in (*plane(ROME, ""), liqo(ROME))]
    assert all(probe and probe.service in PORTS for probe in probes)


def test_a_node_is_ready_at_birth_and_has_pods_of_its_own() -> None:
    node = forge_node(ROME, 2, "v1.2.3")
    assert node["metadata"]["name"] == "rome-node-2"
    assert node["metadata"]["labels"]["type"] == "kwok"
    assert node["spec"]["podCIDR"] == "10.129.2.0/24"
    assert node["status"]["allocatable"] == dict(CAPACITY)
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"


def test_kwok_runs_no_commands_on_this_machine() -> None:
    config = forge_kwok_config(STAGES.read_text(), Path("/lab/rome/pod.log"))
    assert "/lab/rome/pod.log" in config
    assert "Exec" not in config
