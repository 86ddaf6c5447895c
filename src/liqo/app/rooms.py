"""Builds the rooms: one reconcile a loop, each given the stores and connections it works with."""

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from liqo.api.cluster_config import ClusterConfigSpec
from liqo.api.kinds import CONFIG_MAP, SECRET
from liqo.app.loops import Reconciles
from liqo.app.stores import Stores
from liqo.discovery.dns import Resolver
from liqo.discovery.loop_dns import SearchDomains
from liqo.discovery.loop_found import FoundClusters
from liqo.discovery.sightings import Sightings
from liqo.node.abroad import Abroad
from liqo.node.decide import Address
from liqo.node.loop import VirtualNodes
from liqo.node.loop_content import Contents
from liqo.node.loop_events import ForeignEvents
from liqo.node.loop_map import NamespaceMaps
from liqo.node.loop_optin import EnabledNamespaces
from liqo.node.loop_pods import OffloadedPods
from liqo.node.loop_services import Services
from liqo.peering.loop_document import WellKnown
from liqo.peering.loop_incoming import IncomingPeerings
from liqo.peering.loop_invites import Invites
from liqo.peering.loop_outgoing import OutgoingPeerings
from liqo.peering.loop_trusted import TrustedCertificates
from liqo.peering.ports import Contact, Ourselves
from liqo.runtime.ports import Clock, Cluster, Clusters, Events, Views
from liqo.sharing.loop_accept import Acceptance
from liqo.sharing.loop_offer import Offers
from liqo.sharing.loop_places import Places


def build_rooms(
    *,
    cluster: Cluster,
    stores: Stores,
    settings: Callable[[], ClusterConfigSpec],
    us: Callable[[], Ourselves],
    clusters: Clusters,
    contact: Contact,
    resolve: Callable[[str], Awaitable[frozenset[str]]],
    events: Events,
    clock: Clock,
    sightings: Sightings,
    resolver: Callable[[str], Resolver],
    encode: Callable[[str], str],
    took: Callable[[str, timedelta], None],
    changed: Callable[[Iterable[str]], None],
    moved: Callable[[Iterable[str]], None],
    views: Views,
    abroad: Abroad,
    address: Address,
) -> Reconciles:
    """Return the reconciles of all loops.

    Args:
        cluster: our own.
        stores: what is watched there.
        settings: in force.
        us: who we are.
        clusters: connections to others.
        contact: first contact with others.
        resolve: the addresses of a host.
        events: tells people.
        clock: the time.
        sightings: what the searches of this process see.
        resolver: the name servers that a setting names.
        encode: a domain in ASCII.
        took: told how each search of a domain ended, and how long that took.
        changed: looks at found clusters again.
        moved: looks at the pods of namespaces again.
        views: of our own cluster, where pods may run abroad.
        abroad: where namespaces have a place.
        address: of the kubelet endpoint of all virtual nodes.
    """
    contents = {
        kind: Contents(
            kind=kind, home=cluster, views=views, clusters=clusters, pods=stores.pods, abroad=abroad
        )
        for kind in (CONFIG_MAP, SECRET)
    }
    return Reconciles(
        document=WellKnown(
            home=cluster, config_maps=stores.config_maps, us=us, events=events, clock=clock
        ).reconcile,
        trusted=TrustedCertificates(config_maps=stores.config_maps, events=events).reconcile,
        outgoing=OutgoingPeerings(
            home=cluster,
            clusters=clusters,
            contact=contact,
            foreigns=stores.foreigns,
            advertisements=stores.advertisements,
            accounts=stores.accounts,
            nodes=stores.nodes,
            us=us,
            events=events,
            clock=clock,
        ).reconcile,
        incoming=IncomingPeerings(
            home=cluster,
            clusters=clusters,
            foreigns=stores.foreigns,
            requests=stores.requests,
            invites=stores.invites,
            namespaces=stores.tenants,
            resolve=resolve,
            config=settings,
            us=us,
            events=events,
            clock=clock,
        ).reconcile,
        invite=Invites(
            home=cluster, accounts=stores.invites, requests=stores.requests, clock=clock
        ).reconcile,
        accept=Acceptance(
            home=cluster,
            advertisements=stores.advertisements,
            foreigns=stores.foreigns,
            config=settings,
            events=events,
        ).reconcile,
        offer=Offers(
            home=cluster,
            foreigns=stores.foreigns,
            nodes=stores.nodes,
            pods=stores.pods,
            namespaces=stores.tenants,
            config=settings,
            events=events,
        ).reconcile,
        place=Places(
            home=cluster,
            foreigns=stores.foreigns,
            maps=stores.maps,
            namespaces=stores.tenants,
            quotas=stores.quotas,
            nodes=stores.nodes,
            config=settings,
            own_host=lambda: urlsplit(us().server).hostname or "",
            closed=abroad.closed,
            namespace=us().namespace,
            events=events,
            clock=clock,
        ).reconcile,
        node=VirtualNodes(
            home=cluster,
            clusters=clusters,
            foreigns=stores.foreigns,
            advertisements=stores.advertisements,
            nodes=stores.nodes,
            pods=stores.pods,
            config=settings,
            home_id=lambda: us().cluster_id,
            namespace=us().namespace,
            address=address,
            events=events,
            clock=clock,
        ).reconcile,
        map=NamespaceMaps(
            clusters=clusters,
            foreigns=stores.foreigns,
            namespaces=stores.enabled,
            pods=stores.pods,
            abroad=abroad,
            home_id=lambda: us().cluster_id,
            moved=moved,
            events=events,
        ).reconcile,
        pod=OffloadedPods(
            home=cluster,
            clusters=clusters,
            pods=stores.pods,
            abroad=abroad,
            contents=contents,
            address=address.host,
            events=events,
            clock=clock,
        ).reconcile,
        optin=EnabledNamespaces(
            home=cluster,
            namespaces=stores.enabled,
            bindings=stores.bindings,
            pods=stores.pods,
            views=views,
            abroad=abroad,
            namespace=us().namespace,
        ).reconcile,
        configmap=contents[CONFIG_MAP].reconcile,
        secret=contents[SECRET].reconcile,
        service=Services(views=views, clusters=clusters, abroad=abroad).reconcile,
        event=ForeignEvents(
            clusters=clusters, pods=stores.pods, abroad=abroad, events=events, clock=clock
        ).reconcile,
        domain=SearchDomains(
            home=cluster,
            domains=stores.domains,
            sightings=sightings,
            changed=changed,
            resolver=resolver,
            encode=encode,
            config=settings,
            home_id=lambda: us().cluster_id,
            events=events,
            clock=clock,
            took=took,
        ).reconcile,
        found=FoundClusters(
            home=cluster,
            foreigns=stores.foreigns,
            domains=stores.domains,
            sightings=sightings,
            config=settings,
            home_id=lambda: us().cluster_id,
            events=events,
            clock=clock,
        ).reconcile,
    )
