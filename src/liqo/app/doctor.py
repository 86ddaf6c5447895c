"""Reads all of a cluster that `liqo doctor` judges, with a person's own rights."""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from liqo.adapters.kube import HttpCluster
from liqo.adapters.kubeconfig import Access
from liqo.adapters.own import certificate_names
from liqo.adapters.tls import PINNED_NAME
from liqo.api.cluster_config import effective
from liqo.api.kinds import (
    CLUSTER_CONFIG,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CUSTOM_RESOURCE_DEFINITION,
    LEASE,
    NAMESPACE,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE_ACCOUNT,
)
from liqo.api.meta import Key, Kind, Wire
from liqo.api.names import CLUSTER_ID_CONFIG_MAP, CONFIG_NAME, CONTROLLER, WELL_KNOWN_CONFIG_MAP
from liqo.app.door import lets_strangers_in
from liqo.app.home import find_own_server
from liqo.errors import Absent, Invalid
from liqo.install.audit import COMPARED, Seen, Warn, audit, identities, places
from liqo.install.grants import Grant
from liqo.install.vitals import Check, Vitals, examine
from liqo.runtime.ports import Clock, Cluster, Selection

TOKENS = "type=kubernetes.io/service-account-token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What `liqo doctor` found."""

    namespace: str
    checks: list[Check]
    grants: list[Grant]
    warnings: list[Warn]

    @property
    def well(self) -> bool:
        """Whether nobody needs to do anything."""
        return not self.warnings and all(check.ok for check in self.checks)


async def diagnose(cluster: HttpCluster, access: Access, namespace: str, clock: Clock) -> Diagnosis:
    """Read everything and judge it.

    Raises:
        Absent: Liqo is not in that namespace.
        Forbidden: the caller may not read what has to be compared; a cluster's administrator may.
    """
    try:
        await cluster.get(NAMESPACE, Key("", namespace))
    except Absent as fault:
        raise Absent(
            f"there is no Liqo in namespace {namespace}", hint="liqo install, or --namespace NAME"
        ) from fault
    seen = await _see(cluster, namespace)
    return Diagnosis(
        namespace=namespace,
        checks=examine(await _vitals(cluster, access, seen, clock)),
        grants=identities(seen),
        warnings=audit(seen),
    )


async def _see(cluster: Cluster, namespace: str) -> Seen:
    rbac = [
        (kind, obj)
        for kind in (ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
        for obj in await _all(cluster, Selection(kind))
    ]
    seen = Seen(
        namespace=namespace,
        rbac=rbac,
        namespaces=await _all(cluster, Selection(NAMESPACE)),
        accounts=await _all(cluster, Selection(SERVICE_ACCOUNT, namespace=namespace)),
        settings=[(kind, obj) for kind in COMPARED for obj in await _all(cluster, Selection(kind))],
    )
    for place in places(seen):
        for secret in await _all(cluster, Selection(SECRET, namespace=place, fields=TOKENS)):
            seen.tokens.append({"metadata": secret["metadata"]})
    return seen


async def _vitals(cluster: HttpCluster, access: Access, seen: Seen, clock: Clock) -> Vitals:
    ns = seen.namespace
    config = effective(await _maybe(cluster, CLUSTER_CONFIG, Key("", CONFIG_NAME))).discovery_config
    try:
        server = await find_own_server(cluster, access, config)
    except Invalid:
        server = ""  # nobody knows
    names = await certificate_names(access)
    lease = await _maybe(cluster, LEASE, Key(ns, CONTROLLER))
    _, headers = await cluster.fetch_with_headers("/version")
    return Vitals(
        now=parsedate_to_datetime(headers["Date"]),
        here=clock.now().replace(microsecond=0),
        lease=lease,
        crds={
            obj["metadata"]["name"]: obj for kind, obj in seen.settings if kind is CUSTOM_RESOURCE_DEFINITION
        },
        ids=await _maybe(cluster, CONFIG_MAP, Key(ns, CLUSTER_ID_CONFIG_MAP)),
        document=await _maybe(cluster, CONFIG_MAP, Key(ns, WELL_KNOWN_CONFIG_MAP)),
        anonymous=await lets_strangers_in(access, ns),
        server=server,
        names=names,
        pinned=config.allow_untrusted_ca and PINNED_NAME in (names or ()),
    )


async def _all(cluster: Cluster, selection: Selection) -> list[Wire]:
    items: list[Wire] = []
    token = ""
    while True:
        page = await cluster.list(selection, continue_token=token)
        items += page.items
        if not (token := page.continue_token):
            return items


async def _maybe(cluster: Cluster, kind: Kind, key: Key) -> Wire | None:
    try:
        return await cluster.get(kind, key)
    except Absent:
        return None
