"""A man between two real clusters who ends their TLS, at first contact in untrusted mode."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e_legacy import UUID, Attacker, attacker, liqo
from e2e_peers import Peers
from liqo.app.demo import NAME
from liqo.identity.trust import fingerprints

pytestmark = pytest.mark.lab


@pytest.fixture
def before_rome(legacy: Peers, tmp_path: Path) -> Iterator[Attacker]:
    """A man between milan, which joins, and rome, whose id proves itself."""
    with attacker(legacy, "milan", "rome", tmp_path) as he:
        yield he


@pytest.fixture
def before_milan(legacy: Peers, tmp_path: Path) -> Iterator[Attacker]:
    """A man between rome, which joins, and milan, whose id is a UUID."""
    with attacker(legacy, "rome", "milan", tmp_path) as he:
        yield he


def saw_only_strangers(he: Attacker) -> bool:
    """Return whether he got nothing but what anybody may ask anybody, and was asked at all."""
    got = he.tell()
    return bool(got) and not any(r["token"] or r["method"] != "GET" for r in got)


def test_who_shows_a_genuine_document_over_his_own_certificate_gets_nothing(
    legacy: Peers, before_rome: Attacker
) -> None:
    before_rome.tell(mode="copy")
    before_rome.join_by_way_of_him("milan")
    legacy.until(lambda: legacy.condition("milan", "Trusted") == ("False", "CANotShown"))
    assert saw_only_strangers(before_rome)
    assert legacy.items("rome", "federationrequests", "-n", "liqo") == []
    assert legacy.items("milan", "serviceaccounts", "-n", "liqo", "-l", "liqo.io/cluster-id") == []


@pytest.mark.parametrize("claims", ["rome's id", "his own"])
def test_who_forges_a_document_for_an_id_that_proves_itself_gets_nothing(
    legacy: Peers, before_rome: Attacker, claims: str
) -> None:
    before_rome.tell(mode="forge", id=legacy.id_of("rome") if claims == "rome's id" else "")
    before_rome.join_by_way_of_him("milan")
    legacy.until(lambda: legacy.condition("milan", "IdentityVerified") == ("False", "WrongClusterID"))
    assert saw_only_strangers(before_rome)
    assert legacy.items("milan", "serviceaccounts", "-n", "liqo", "-l", "liqo.io/cluster-id") == []


def test_a_peering_with_an_id_that_proves_itself_begins_when_he_goes(
    legacy: Peers, before_rome: Attacker
) -> None:
    before_rome.tell(mode="copy")
    before_rome.join_by_way_of_him("milan")
    legacy.until(lambda: legacy.condition("milan", "Trusted") == ("False", "CANotShown"))
    before_rome.tell(mode="away")
    legacy.set_join("milan", join=False)  # a person tries again, and need not wait
    legacy.set_join("milan", join=True)
    legacy.until(lambda: legacy.condition("milan", "Trusted") == ("True", "CAFromDocument"))
    legacy.until(lambda: legacy.items("rome", "federationrequests", "-n", "liqo"))


def test_who_takes_a_legacy_id_first_is_pinned_and_the_genuine_one_is_then_refused_and_shown(
    legacy: Peers, before_milan: Attacker
) -> None:
    before_milan.tell(mode="forge", id=UUID)
    before_milan.join_by_way_of_him("rome")
    legacy.until(lambda: legacy.condition("rome", "Requested") == ("True", "Sent"))
    assert legacy.condition("rome", "IdentityVerified") == ("False", "LegacyClusterID")
    assert any(
        r["opened"] for r in before_milan.tell()
    )  # the first use is trusted, which is what a UUID costs
    his = legacy.get("rome", "fc", NAME)["status"]["pin"]
    assert his["caFingerprints"] == fingerprints(before_milan.ca_pem)

    before_milan.tell(mode="away")
    legacy.set_join("rome", join=False)
    legacy.until(lambda: legacy.is_clean("rome"))
    legacy.set_join("rome", join=True)
    legacy.until(lambda: legacy.condition("rome", "Trusted") == ("False", "PinChanged"))
    assert legacy.items("milan", "federationrequests", "-n", "liqo") == []
    found = legacy.get("rome", "fc", NAME)["status"]
    (told,) = (c["message"] for c in found["conditions"] if c["type"] == "Trusted")
    genuine = fingerprints((legacy.lab.cluster("milan").pki / "ca.crt").read_text())
    assert all(text in told for text in (*his["caFingerprints"], *genuine, his["signingKey"]))

    done = liqo(legacy, "rome", "trust", "accept", NAME, "--yes")
    assert done.returncode == 0, done.stderr
    legacy.until(lambda: legacy.is_ready("rome"))
    assert legacy.get("rome", "fc", NAME)["status"]["pin"]["caFingerprints"] == genuine
