"""Trust on first use: by what a cluster with a legacy id is known, since a UUID proves nothing; pure.

status.pin    what it showed when it was met first: its key, and the CA of its API server
status.shown  what it shows instead: that stops the peering, and nothing is deleted
spec.pin      what a person says it is; that counts before status.pin

An id that is the hash of a key needs none of this: whoever signs with that key may change his CA.
"""

from collections.abc import Sequence

from liqo.api.foreign_cluster import FirstUse, ForeignCluster, Pin, counting
from liqo.api.reasons import Reason
from liqo.errors import NotTrusted
from liqo.identity.cluster_id import is_legacy_id
from liqo.identity.trust import fingerprints


class PinChanged(NotTrusted):
    """A cluster with a legacy id shows another key or CA than the one it is known by."""

    def __init__(self, differs: str, shown: Pin, name: str) -> None:
        super().__init__(
            differs,
            reason=Reason.PIN_CHANGED,
            hint=f"ask its owner, and if that is so: liqo trust accept {name}",
        )
        self.shown = shown


def forge_pin(signing_key: str, ca_pem: str) -> Pin:
    """Return what a cluster shows; no CA where one that we trust verified its certificate."""
    return Pin(signing_key=signing_key, ca_fingerprints=fingerprints(ca_pem) if ca_pem else [])


def known_by(siblings: Sequence[ForeignCluster]) -> Pin:
    """Return by what a cluster is known: a person's word, or else what it showed first."""
    pins = [f.spec.pin for f in _ordered(siblings)] + [f.status.pin for f in _ordered(siblings)]
    found = [p for p in pins if p is not None]
    return Pin(
        signing_key=next((p.signing_key for p in found if p.signing_key), ""),
        ca_fingerprints=next((p.ca_fingerprints for p in found if p.ca_fingerprints), []),
    )


def _ordered(siblings: Sequence[ForeignCluster]) -> list[ForeignCluster]:
    """Return the one that counts before the others."""
    counts = counting(siblings)
    return sorted(siblings, key=lambda f: f is not counts)


def difference(known: Pin, shown: Pin) -> str:
    """Return how what is shown differs from what is known, in a sentence; "" if it does not."""
    told = []
    if known.signing_key and shown.signing_key not in {"", known.signing_key}:
        told.append(f"it was known by the key {known.signing_key}, and now shows {shown.signing_key}")
    if known.ca_fingerprints and shown.ca_fingerprints:
        before, after = (", ".join(p.ca_fingerprints) for p in (known, shown))
        if set(known.ca_fingerprints) != set(shown.ca_fingerprints):
            told.append(f"its CA was {before}, and now is {after}")
    return "; ".join(told)


def check(siblings: Sequence[ForeignCluster], shown: Pin) -> None:
    """Let pass what a cluster is known by, and whatever is its first.

    Raises:
        PinChanged: it is something else.
    """
    differs = difference(known_by(siblings), shown)
    counts = counting(siblings)
    if differs and counts is not None:
        raise PinChanged(differs, shown, counts.metadata.name)


def check_stopped(siblings: Sequence[ForeignCluster]) -> None:
    """Let pass a cluster that was not seen to show something else, or of which a person accepted it.

    Raises:
        PinChanged: nobody did.
    """
    for foreign in siblings:
        if foreign.status.shown is not None:
            check(siblings, foreign.status.shown)


def first_use(foreign: ForeignCluster, shown: Pin) -> FirstUse:
    """Return status.pin of a cluster that showed nothing that it is not known by."""
    before = foreign.status.pin or FirstUse()
    return FirstUse(
        signing_key=shown.signing_key,
        ca_fingerprints=shown.ca_fingerprints or before.ca_fingerprints,
        once_trusted=before.once_trusted or not shown.ca_fingerprints,
    )


def takes_own_ca(cluster_id: str, siblings: Sequence[ForeignCluster], *, otherwise: bool) -> bool:
    """Return whether a CA that a cluster itself names is good enough.

    Args:
        cluster_id: of the cluster; "" if nobody knows it yet.
        siblings: its ForeignClusters; the one that counts says.
        otherwise: what the settings say of clusters that we do not know.
    """
    counts = counting(siblings)
    if counts is None:
        return otherwise
    verified = any(f.status.pin is not None and f.status.pin.once_trusted for f in siblings)
    return counts.spec.allow_untrusted_ca and not (is_legacy_id(cluster_id) and verified)
