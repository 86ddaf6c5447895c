from pathlib import Path

import pytest

from liqo.lab.dns import address, coredns, forge_zone
from liqo.lab.spec import Mode


def test_the_zone_has_every_host_and_what_was_added() -> None:
    text = forge_zone({"rome": "10.77.0.11", "dns": "10.77.0.2"}, 7, "_liqo._tcp 5 IN PTR rome._liqo._tcp")
    assert text.splitlines() == [
        "$ORIGIN .",
        "@ 5 IN SOA dns.lab. hostmaster.lab. 7 60 60 3600 5",
        "@ 5 IN NS dns.lab.",
        "$ORIGIN lab.",
        "dns 5 IN A 10.77.0.2",
        "rome 5 IN A 10.77.0.11",
        "_liqo._tcp 5 IN PTR rome._liqo._tcp",
    ]


@pytest.mark.parametrize(
    ("mode", "where"),
    [(Mode.ROOT, ("10.77.0.2", 53)), (Mode.USER, ("10.77.0.2", 53)), (Mode.LOOPBACK, ("10.77.0.2", 1053))],
)
def test_only_on_the_machine_itself_is_its_port_high(mode: Mode, where: tuple[str, int]) -> None:
    assert address("10.77.0", mode) == where


def test_it_answers_on_its_own_address_only() -> None:
    corefile = coredns(Path("/lab"), "10.77.0", Mode.ROOT).files["Corefile"]
    assert "bind 10.77.0.2" in corefile
    assert "/lab/dns/zone" in corefile
