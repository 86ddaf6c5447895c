"""What the records of one instance in a domain add up to: a sighting, or what is wrong with it; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from liqo.api.foreign_cluster import ENDPOINTS_MAX
from liqo.api.reasons import Reason
from liqo.discovery.announcement import instance_label, parse_announcement, show
from liqo.discovery.dns import Answer, Service, draws, order, shuffle
from liqo.discovery.sighting import Sighting
from liqo.errors import Malformed

TTL_LEAST = timedelta(seconds=5)
TTL_MOST = timedelta(minutes=5)
PORT_MAX = 65_535
TARGETS_MAX = 16
NAME_MAX = 255
# A DNS name may hold any byte; what goes into a URL is a host name (RFC 1123 §2.1), with _ as some have it.
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All that DNS says about one instance.

    Args:
        instance: its whole name, ASCII, without the last dot.
        services: the answer to SRV.
        texts: the answer to TXT.
        addresses: by SRV target, the answers to A, and to AAAA where this host has IPv6.
        out_of_reach: to AAAA where it has not; asked for if there is no other address.
    """

    instance: str
    services: Answer
    texts: Answer
    addresses: Mapping[str, Sequence[Answer]]
    out_of_reach: Mapping[str, Sequence[Answer]] = field(default_factory=dict)

    def answers(self) -> list[Answer]:
        """Return all answers."""
        return [self.services, self.texts, *(a for found in self.addresses.values() for a in found)]

    @property
    def silent(self) -> Reason | None:
        """Why nobody knows what is there; None where all was answered that is needed."""
        for answer in (self.services, self.texts):
            if answer.silent:
                return answer.fault
        if any(a.records for found in self.addresses.values() for a in found):
            return None
        faults = [a.fault for found in self.addresses.values() for a in found if a.silent]
        return faults[0] if faults else None

    @property
    def ttl(self) -> timedelta:
        """How long all of it holds."""
        return min(max(min(a.ttl for a in self.answers()), TTL_LEAST), TTL_MOST)


def targets(services: Answer) -> list[str]:
    """Return the names whose addresses are needed."""
    found = [s.target for s in services.records if isinstance(s, Service) and s.target]
    return list(dict.fromkeys(found))[:TARGETS_MAX]


def assemble(said: Said, *, seed: str, authenticated: bool) -> Sighting:
    """Return the cluster that an instance stands for.

    Args:
        said: by DNS.
        seed: of the order among servers of equal priority (`draws`).
        authenticated: whether everything that was said proves who wrote it.

    Raises:
        Malformed: with the reason and a sentence for whoever wrote the zone.
    """
    servers = _servers(said, seed)
    announced = parse_announcement(r for r in said.texts.records if isinstance(r, bytes))
    names: list[str] = []
    addresses: list[str] = []
    for server in servers:
        names.append(f"https://{server.target}:{server.port}")
        draw = draws(f"{seed}/{said.instance}/{server.target}")
        for answer in said.addresses.get(server.target, ()):
            found = shuffle([r for r in answer.records if isinstance(r, str)], draw)
            addresses += [
                f"https://[{a}]:{server.port}" if ":" in a else f"https://{a}:{server.port}" for a in found
            ]
    if not addresses and not announced.url:
        raise _no_address(said, servers)
    # Its own CA is verified under a name that every API server has; another one under the name that is published.
    own = [announced.url] if announced.url else []
    both = [*own, *addresses] if announced.untrusted_ca else [*own, *names, *addresses]
    return Sighting(
        cluster_id=announced.cluster_id,
        cluster_name=instance_label(said.instance.split(".", 1)[0]),
        namespace=announced.namespace,
        untrusted_ca=announced.untrusted_ca,
        endpoints=tuple(dict.fromkeys(both))[:ENDPOINTS_MAX],
        door_url=announced.door_url,
        instance=show(said.instance) if len(said.instance) > NAME_MAX else said.instance,
        ttl=said.ttl,
        authenticated=authenticated,
    )


def _servers(said: Said, seed: str) -> list[Service]:
    services = [s for s in said.services.records if isinstance(s, Service)]
    if said.services.fault is Reason.CNAME_LOOP:
        raise Malformed("the aliases of its name lead in a circle", reason=Reason.CNAME_LOOP)
    if not services:
        raise Malformed("it has no SRV record", reason=Reason.NO_SRV)
    if not any(s.target for s in services):
        raise Malformed(
            'its SRV record has the target ".": the service is not there', reason=Reason.NO_SERVICE
        )
    named = [s for s in services if s.target and _HOST.fullmatch(s.target)]
    if not named:
        raise Malformed("its SRV record's target is no host name", reason=Reason.BAD_SRV)
    usable = [s for s in named if 1 <= s.port <= PORT_MAX]
    if not usable:
        raise Malformed("its SRV record has port 0", reason=Reason.BAD_SRV)
    return order(usable, draws(f"{seed}/{said.instance}"))[:TARGETS_MAX]


def _no_address(said: Said, servers: Sequence[Service]) -> Malformed:
    """Return why no server has an address."""
    names = ", ".join(show(s.target) for s in servers[:3])
    answers = [a for s in servers for a in said.addresses.get(s.target, ())]
    if any(a.fault is Reason.CNAME_LOOP for a in answers):
        return Malformed(f"the aliases of {names} lead in a circle", reason=Reason.CNAME_LOOP)
    if answers and all(a.fault is Reason.NO_SUCH_DOMAIN for a in answers):
        return Malformed(f"{names} does not exist", reason=Reason.NO_ADDRESS)
    if any(a.records for found in said.out_of_reach.values() for a in found):
        return Malformed(
            f"{names} has only AAAA records, and this host has no IPv6", reason=Reason.NO_ADDRESS
        )
    return Malformed(f"{names} has neither an A nor an AAAA record", reason=Reason.NO_ADDRESS)
