"""What a person does about clusters whose id is a UUID: see by what they are known, accept that it changed."""

from dataclasses import dataclass

from liqo.api.foreign_cluster import ForeignCluster, Pin
from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Key
from liqo.app.peers import find_foreign, list_foreign
from liqo.errors import Invalid
from liqo.identity.cluster_id import is_legacy_id
from liqo.peering.pins import difference, known_by
from liqo.runtime.ports import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """By what a cluster is known."""

    name: str  # of its ForeignCluster
    cluster_id: str
    legacy: bool  # its id proves nothing
    known: Pin
    shown: Pin | None  # what it shows instead; None if it does not
    once_trusted: bool


async def read_standing(cluster: Cluster, name: str) -> Standing:
    """Return by what a cluster is known, and what it shows.

    Raises:
        Invalid: nobody is called that, or several are.
    """
    foreign = await find_foreign(cluster, name)
    cluster_id = foreign.spec.cluster_id or ""
    siblings = [f for f in await list_foreign(cluster) if cluster_id and f.spec.cluster_id == cluster_id]
    legacy = is_legacy_id(cluster_id)
    known = known_by(siblings) if legacy else Pin(signing_key=foreign.status.signing_key)
    return Standing(
        name=foreign.metadata.name,
        cluster_id=cluster_id,
        legacy=legacy,
        known=known,
        shown=_shown(siblings, known),
        once_trusted=any(f.status.pin is not None and f.status.pin.once_trusted for f in siblings),
    )


def _shown(siblings: list[ForeignCluster], known: Pin) -> Pin | None:
    shown = (f.status.shown for f in siblings if f.status.shown is not None)
    return next((s for s in shown if difference(known, s)), None)


def choose_pin(standing: Standing, key: str) -> Pin:
    """Return by what a cluster is to be known from now on.

    Args:
        standing: as it is.
        key: that its owner told; "" for what the cluster shows.

    Raises:
        Invalid: there is nothing to accept.
    """
    if not standing.legacy:
        raise Invalid(f"the id of {standing.name} is the hash of its key: there is nothing to accept")
    if key:
        return Pin(signing_key=key, ca_fingerprints=standing.known.ca_fingerprints)
    if standing.shown is None:
        raise Invalid(
            f"{standing.name} shows nothing but what it is known by",
            hint="if its requests here are refused, ask its owner for the key: --key",
        )
    return Pin(
        signing_key=standing.shown.signing_key or standing.known.signing_key,
        ca_fingerprints=standing.shown.ca_fingerprints or standing.known.ca_fingerprints,
    )


async def write_pin(cluster: Cluster, name: str, pin: Pin) -> None:
    """Have a cluster known by what a person says."""
    patch = {"spec": {"pin": pin.wire()}}
    await cluster.patch(FOREIGN_CLUSTER, Key("", name), patch, manager="liqo-cli")
