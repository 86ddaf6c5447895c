"""By what a cluster with a legacy id is known, and what counts as another, as tables."""

from typing import Any

import pytest

from liqo.api.foreign_cluster import FirstUse, ForeignCluster, Pin
from liqo.identity.trust import fingerprints
from liqo.peering.pins import (
    PinChanged,
    check,
    check_stopped,
    difference,
    first_use,
    forge_pin,
    known_by,
    takes_own_ca,
)
from strategies import certificate

UUID = "c7a3e3f0-0000-4000-8000-0123456789ab"
PROVABLE = "a" * 32
ONE, TWO = certificate("one", 1), certificate("two", 2)
(FIRST,), (SECOND,) = fingerprints(ONE), fingerprints(TWO)


def pin(key: str = "", *cas: str) -> Pin:
    return Pin(signing_key=key, ca_fingerprints=list(cas))


def foreign(name: str = "milan", *, spec: dict[str, Any] | None = None, **status: Any) -> ForeignCluster:
    return ForeignCluster.parse(
        {
            "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"clusterID": UUID, "allowUntrustedCA": True, **(spec or {})},
            "status": status,
        }
    )


KEY = {"signingKey": "k1"}
WHOLE = {**KEY, "caFingerprints": [FIRST]}
KNOWN = {
    "nothing was seen yet": ([foreign()], pin()),
    "what it showed first": ([foreign(pin=WHOLE)], pin("k1", FIRST)),
    "a person's word": ([foreign(spec={"pin": {"signingKey": "k2"}}, pin=WHOLE)], pin("k2", FIRST)),
    "a person's word before it was met": ([foreign(spec={"pin": WHOLE})], pin("k1", FIRST)),
    "what another ForeignCluster of it remembers": (
        [foreign("a"), foreign("b", pin=WHOLE)],
        pin("k1", FIRST),
    ),
    "the one that counts before another": (
        [foreign("a", pin=WHOLE), foreign("b", pin={"signingKey": "k2"})],
        pin("k1", FIRST),
    ),
    "a person's word on another one": (
        [foreign("a", pin=WHOLE), foreign("b", spec={"pin": {"signingKey": "k2"}})],
        pin("k2", FIRST),
    ),
}


@pytest.mark.parametrize("sentence", KNOWN)
def test_by_what_a_cluster_is_known(sentence: str) -> None:
    siblings, expected = KNOWN[sentence]
    assert known_by(siblings) == expected


DIFFERENCES = {
    "the first of everything": (pin(), pin("k1", FIRST), ()),
    "the same": (pin("k1", FIRST), pin("k1", FIRST), ()),
    "the same certificates in another order": (pin("k1", FIRST, SECOND), pin("k1", SECOND, FIRST), ()),
    "another key": (pin("k1", FIRST), pin("k2", FIRST), ("k1", "k2")),
    "another CA": (pin("k1", FIRST), pin("k1", SECOND), (FIRST, SECOND)),
    "one more CA": (pin("k1", FIRST), pin("k1", FIRST, SECOND), (FIRST, SECOND)),
    "another key and CA": (pin("k1", FIRST), pin("k2", SECOND), ("k1", "k2", FIRST, SECOND)),
    "a certificate that we trust anyway": (pin("k1", FIRST), pin("k1"), ()),
    "a CA alone, as in credentials": (pin("k1", FIRST), pin("", FIRST), ()),
}


@pytest.mark.parametrize("sentence", DIFFERENCES)
def test_what_is_shown_is_compared_with_what_is_known(sentence: str) -> None:
    known, shown, told = DIFFERENCES[sentence]
    said = difference(known, shown)
    assert bool(said) == bool(told)
    assert all(text in said for text in told)


def test_another_one_stops_the_peering_and_names_the_command_that_accepts_it() -> None:
    with pytest.raises(PinChanged) as stopped:
        check([foreign(pin=WHOLE)], pin("k2"))
    assert stopped.value.reason == "PinChanged"
    assert "liqo trust accept milan" in stopped.value.hint
    assert stopped.value.shown == pin("k2")


def test_what_was_shown_stops_it_until_a_person_accepts_that() -> None:
    shown = {"signingKey": "k2", "caFingerprints": [SECOND]}
    with pytest.raises(PinChanged):
        check_stopped([foreign(pin=WHOLE, shown=shown)])
    check_stopped([foreign(spec={"pin": shown}, pin=WHOLE, shown=shown)])
    check_stopped([foreign(pin=WHOLE)])


def test_what_it_showed_first_is_kept_and_what_is_accepted_replaces_it() -> None:
    first = first_use(foreign(), forge_pin("k1", ONE))
    assert first == FirstUse(signing_key="k1", ca_fingerprints=[FIRST], once_trusted=False)
    later = first_use(foreign(pin=first.wire()), forge_pin("k1", TWO))
    assert later.ca_fingerprints == [SECOND]


def test_a_certificate_that_we_trust_once_is_never_again_too_little() -> None:
    once = first_use(foreign(pin=WHOLE), forge_pin("k1", ""))
    assert once == FirstUse(signing_key="k1", ca_fingerprints=[FIRST], once_trusted=True)
    assert first_use(foreign(pin=once.wire()), forge_pin("k1", ONE)).once_trusted


ONCE = {**WHOLE, "onceTrusted": True}
OWN_CA = {
    "nobody knows it, and the settings allow it": (UUID, [], True, True),
    "nobody knows it, and the settings do not": (UUID, [], False, False),
    "its ForeignCluster allows it": (UUID, [foreign()], False, True),
    "its ForeignCluster does not": (UUID, [foreign(spec={"allowUntrustedCA": False})], True, False),
    "a trusted CA verified a legacy id once": (UUID, [foreign(pin=ONCE)], True, False),
    "a trusted CA verified a provable id once": (PROVABLE, [foreign(pin=ONCE)], True, True),
}


@pytest.mark.parametrize("sentence", OWN_CA)
def test_whether_a_cluster_s_own_ca_is_good_enough(sentence: str) -> None:
    cluster_id, siblings, otherwise, expected = OWN_CA[sentence]
    assert takes_own_ca(cluster_id, siblings, otherwise=otherwise) is expected
