"""`liqo discover dns` and `liqo dns` against real name servers, as a person types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dns_servers import KEY, Serve
from liqo.adapters.dns_address import parse_servers
from liqo.adapters.dns_update import publish, read_key
from liqo.app.dns import entries_there, look
from liqo.discovery.announcement import Announcement
from liqo.discovery.records import compare, forge_entries
from liqo.errors import Invalid, Refused, Unreachable

pytestmark = pytest.mark.lab

DOMAIN = "mydomain.com"
ID = "a" * 32


def liqo(*args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "liqo", *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_what_a_person_sees_of_a_domain(coredns: Serve) -> None:
    zone = f"""@ PTR good._liqo._tcp
@ PTR bad._liqo._tcp
good._liqo._tcp SRV 0 0 6443 api
good._liqo._tcp TXT "id={ID}" "namespace=liqo"
bad._liqo._tcp SRV 0 0 6443 api
bad._liqo._tcp TXT "id=MILAN" "namespace=liqo"
api A 192.0.2.1"""
    server = coredns(DOMAIN, zone)
    done = liqo("discover", "dns", DOMAIN, "--server", server.address)
    assert done.returncode == 1
    assert ID in done.stdout
    assert "https://api.mydomain.com:6443,https://192.0.2.1:6443" in done.stdout
    assert "bad._liqo._tcp.mydomain.com: BadClusterID: id=MILAN is not a ClusterID" in done.stderr
    found = json.loads(liqo("discover", "dns", DOMAIN, "--server", server.address, "-o", "json").stdout)
    assert [i["clusterID"] for i in found["instances"]] == [ID]
    assert [p["reason"] for p in found["problems"]] == ["BadClusterID"]


def test_two_with_one_id_are_shown_as_the_status_of_a_searchdomain_shows_them(coredns: Serve) -> None:
    zone = f"""@ PTR one._liqo._tcp
@ PTR two._liqo._tcp
one._liqo._tcp SRV 0 0 6443 api
one._liqo._tcp TXT "id={ID}" "namespace=liqo"
two._liqo._tcp SRV 0 0 6443 api
two._liqo._tcp TXT "id={ID}" "namespace=liqo"
api A 192.0.2.1"""
    server = coredns(DOMAIN, zone)
    done = liqo("discover", "dns", DOMAIN, "--server", server.address)
    assert done.returncode == 1
    told = "two._liqo._tcp.mydomain.com: IdConflict: it has the same id as one._liqo._tcp.mydomain.com"
    assert told in done.stderr
    found = json.loads(liqo("discover", "dns", DOMAIN, "--server", server.address, "-o", "json").stdout)
    assert [p["reason"] for p in found["problems"]] == ["IdConflict"]


def test_of_a_domain_of_too_many_it_says_how_many_are_left_out(coredns: Serve) -> None:
    lines = "\n".join(f"@ PTR c{n}\n_liqo._tcp PTR d{n}" for n in range(2_501))
    server = coredns(DOMAIN, lines)
    done = liqo("discover", "dns", DOMAIN, "--server", server.address)
    assert done.returncode == 1
    assert "mydomain.com: TooMany: 2 more instances are not looked at; 5000 are" in done.stderr


def test_a_domain_that_does_not_exist_is_told_in_one_sentence(coredns: Serve) -> None:
    done = liqo("discover", "dns", f"nobody.{DOMAIN}", "--server", coredns(DOMAIN, "").address)
    assert done.returncode == 1
    assert next(" ".join(line.split()) for line in done.stderr.splitlines()) == (
        f"nobody.{DOMAIN} shows no cluster: The name server says that the domain does not exist (NXDOMAIN)."
    )
    assert "NoSuchDomain" not in done.stderr  # nor is anything wrong with any record


def test_what_cannot_be_searched() -> None:
    done = liqo("discover", "dns", "a..b")
    assert done.returncode == 2
    assert "a..b is no domain name" in done.stderr
    done = liqo("discover", "dns", DOMAIN, "--server", "dns.example")
    assert done.returncode == 2
    assert "hint: 8.8.8.8:53" in done.stderr


def entries(name: str = "rome", server: str = "https://192.0.2.1:6443") -> list:  # type: ignore[type-arg]
    said = Announcement(cluster_id=ID, namespace="liqo", untrusted_ca=True)
    return forge_entries(said, name=name, domain=DOMAIN, service="_liqo._tcp", server=server)


async def test_what_is_printed_is_found_when_it_stands_in_a_zone(coredns: Serve) -> None:
    wanted = entries()
    server = coredns(DOMAIN, "\n".join(entry.line() for entry in wanted))
    shown = await look(DOMAIN, server.address)
    (known,) = shown.instances.values()
    assert known.sighting is not None
    assert (known.sighting.cluster_id, known.sighting.cluster_name) == (ID, "rome")
    there, silent = await entries_there(wanted, server.address)
    assert (compare(wanted, there), silent) == ([], [])
    changed = entries(server="https://192.0.2.2:6444")
    there, _ = await entries_there(changed, server.address)
    assert {(f.record.kind, f.message) for f in compare(changed, there)} == {
        ("SRV", "wrong: it is 0 0 6443 apiserver-rome.mydomain.com."),
        ("A", "wrong: it is 192.0.2.1"),
    }


async def test_records_are_published_beside_those_of_others_and_taken_out(
    updatable: Serve, tmp_path: Path
) -> None:
    server = updatable(DOMAIN, f'@ PTR other._liqo._tcp\nother._liqo._tcp TXT "id={"b" * 32}"')
    path = tmp_path / "liqo.key"
    path.write_text(KEY)
    key = read_key(path)
    for _ in range(2):
        await publish(DOMAIN, server.address, key, entries(), remove=False)
        assert set((await look(DOMAIN, server.address)).instances) == {
            "rome._liqo._tcp.mydomain.com",
            "other._liqo._tcp.mydomain.com",
        }
    there, _ = await entries_there(entries(), server.address)
    assert compare(entries(), there) == []
    await publish(DOMAIN, server.address, key, entries(), remove=True)
    assert set((await look(DOMAIN, server.address)).instances) == {"other._liqo._tcp.mydomain.com"}


async def test_an_update_that_is_refused_says_why(updatable: Serve, tmp_path: Path) -> None:
    server = updatable(DOMAIN, "")
    name, algorithm, _ = "liqo-key", "hmac-sha256", ""
    with pytest.raises(Refused, match=r"does not take the key|NOTAUTH"):
        await publish(DOMAIN, server.address, (name, algorithm, "d3Jvbmc="), entries(), remove=False)
    with pytest.raises(Unreachable):
        await publish(DOMAIN, "127.0.0.1:9", (name, algorithm, "d3Jvbmc="), entries(), remove=False)
    (tmp_path / "no.key").write_text("nothing")
    with pytest.raises(Invalid, match="no TSIG key file"):
        read_key(tmp_path / "no.key")
    assert parse_servers(server.address)


@pytest.mark.parametrize("server", ["tls://192.0.2.53", "https://dns.example/dns-query"])
async def test_an_update_goes_over_plain_dns_only(server: str) -> None:
    with pytest.raises(Invalid, match="updates go over plain DNS, signed with the key") as refused:
        await publish(DOMAIN, server, ("liqo-key", "hmac-sha256", "c2VjcmV0"), entries(), remove=False)
    assert refused.value.hint == "--server 192.0.2.53:53, the zone's primary name server"


async def test_an_update_goes_to_one_server() -> None:
    with pytest.raises(Invalid, match="one name server"):
        await publish(DOMAIN, "192.0.2.53,192.0.2.54", ("k", "hmac-sha256", "c2VjcmV0"), [], remove=False)
