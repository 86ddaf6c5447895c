"""Keeps the well-known document signed and true: its key is the ConfigMap that holds it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from liqo.api.kinds import CONFIG_MAP
from liqo.api.meta import Key, Wire
from liqo.api.names import MANAGED_LABEL, WELL_KNOWN_CONFIG_MAP, WELL_KNOWN_KEY
from liqo.errors import Malformed, NotTrusted
from liqo.identity.document import LIFETIME, Document, forge_document, needs_renewal, parse_document
from liqo.peering.ports import Ourselves
from liqo.runtime.loop import Outcome
from liqo.runtime.plan import Apply, Plan, act
from liqo.runtime.ports import Clock, Cluster, Events
from liqo.runtime.store import Store

MANAGER = "liqo-document"
LOOK_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WellKnown:
    """All that its reconcile needs."""

    home: Cluster
    config_maps: Store  # in Liqo's namespace
    us: Callable[[], Ourselves]
    events: Events
    clock: Clock

    async def reconcile(self, key: Key) -> Outcome:
        """Sign a new document if the old one is wrong, tells an old story, or is half through its life."""
        us, now = self.us(), self.clock.now()
        stored = self.config_maps.get(key)
        text = ((stored or {}).get("data") or {}).get(WELL_KNOWN_KEY, "")
        try:
            current = parse_document(text, now, expected=us.cluster_id)
        except (Malformed, NotTrusted):
            current = None
        if current is not None and not needs_renewal(current, now) and self._tells(current, us):
            return Outcome(wake=LOOK_AGAIN)
        fresh = forge_document(
            us.identity,
            now,
            cluster_id=us.cluster_id,
            cluster_name=us.cluster_name,
            namespace=us.namespace,
            ca_bundle=us.ca_pem if us.publish_ca else "",
            door_url=us.door_url,
            lifetime=LIFETIME,
        )
        body: Wire = {
            "apiVersion": CONFIG_MAP.api_version,
            "kind": CONFIG_MAP.kind,
            "metadata": {
                "name": WELL_KNOWN_CONFIG_MAP,
                "namespace": us.namespace,
                "labels": {MANAGED_LABEL: "liqo"},
            },
            "data": {WELL_KNOWN_KEY: fresh},
        }
        plan = Plan((Apply(kind=CONFIG_MAP, obj=body, seen=stored),))
        writes = await act(plan, self.home, manager=MANAGER, events=self.events)
        return Outcome(wake=LOOK_AGAIN, writes=writes)

    @staticmethod
    def _tells(document: Document, us: Ourselves) -> bool:
        """Return whether the document says of us what is true."""
        return (
            document.cluster_name == us.cluster_name
            and document.namespace == us.namespace
            and document.ca_bundle.strip() == (us.ca_pem.strip() if us.publish_ca else "")
            and document.door_url == us.door_url
            and document.keys == us.identity.keys
        )
