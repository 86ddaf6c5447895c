from pathlib import Path

import pytest

from liqo.errors import Invalid
from liqo.lab.spec import MAX_CLUSTERS, MAX_NODES, ClusterSpec, Mode, check_name, check_nodes, mac


def spec(index: int = 1, mode: Mode = Mode.ROOT, subnet: str = "10.77.0") -> ClusterSpec:
    return ClusterSpec(
        name="rome", index=index, folder=Path("/lab/rome"), mode=mode, subnet=subnet, ports={"api": 40_001}
    )


@pytest.mark.parametrize("name", ["rome", "milan-2", "a", "a" * 20])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Rome", "1st", "-rome", "rome-", "a" * 21, "rome.lab", "../x", "rome\n", "dns", "lan"]
)
def test_anything_else_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_name(name)
    assert refused.value.hint


@pytest.mark.parametrize("nodes", [-1, MAX_NODES + 1])
def test_an_impossible_number_of_nodes_is_refused(nodes: int) -> None:
    with pytest.raises(Invalid):
        check_nodes(nodes)


def test_the_machine_reaches_a_cluster_of_a_lan_through_the_relay() -> None:
    assert spec().reach("api") == ("127.0.0.1", 40_001)
    assert spec().people_url == "https://127.0.0.1:40001"
    assert spec().api_url == "https://10.77.0.11:6443"


def test_the_machine_reaches_a_loopback_cluster_at_its_own_address() -> None:
    on_loopback = spec(mode=Mode.LOOPBACK, subnet="127.77.9")
    assert on_loopback.reach("liqo") == ("127.77.9.11", 8080)
    assert on_loopback.people_url == on_loopback.api_url == "https://127.77.9.11:6443"
    assert on_loopback.private == "127.77.9.11"


def test_no_two_ranges_of_a_lab_meet() -> None:
    specs = [spec(index) for index in range(1, MAX_CLUSTERS + 1)]
    ranges = [s.pod_cidr for s in specs] + [s.service_cidr for s in specs] + ["10.77.0.0/16"]
    assert len(set(ranges)) == len(ranges)
    assert max(int(s.service_cidr.split(".")[1]) for s in specs) < 256
    assert max(int(s.host.split(".")[3]) for s in specs) < 255


def test_hardware_addresses_are_local_unicast_and_apart() -> None:
    addresses = {mac(index) for index in range(300)}
    assert len(addresses) == 300
    assert all(int(address[:2], 16) & 0b11 == 0b10 for address in addresses)
