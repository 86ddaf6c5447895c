"""Reads what pods of enabled namespaces refer to: a key is the name of a namespace at home.

The controller has no right on the Secrets of its cluster. In a namespace whose owner lets its pods run abroad it binds
a fixed ClusterRole to itself, and takes that away again.
"""

from dataclasses import dataclass, field

from liqo.api.kinds import CONFIG_MAP, POD, ROLE_BINDING, SECRET
from liqo.api.meta import Key
from liqo.api.rights import OFFLOAD_ROLE, forge_offload_rights
from liqo.node.abroad import Abroad
from liqo.node.loop_content import contents_in
from liqo.node.loop_services import services_in, slices_in
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Cluster, Selection, Views
from liqo.runtime.store import Store

MANAGER = "liqo-optin"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnabledNamespaces:
    """All that the reconciles share."""

    home: Cluster
    namespaces: Store  # those that are enabled
    bindings: Store  # RoleBindings that Liqo manages
    pods: Store  # by index "namespace"
    views: Views
    abroad: Abroad
    namespace: str  # Liqo's own
    viewed: set[str] = field(default_factory=set)

    async def reconcile(self, key: Key) -> Outcome:
        """Give ourselves the right to read in a namespace, or take it away."""
        name = key.name
        namespace = self.namespaces.get(key)
        bound = self.bindings.get(Key(name, OFFLOAD_ROLE)) is not None
        if namespace is not None and "deletionTimestamp" not in namespace["metadata"]:
            if not bound:
                await self.home.apply(
                    ROLE_BINDING, forge_offload_rights(self.namespace, name), manager=MANAGER
                )
            self._view(name)
            return Outcome(writes=0 if bound else 1)
        if any(self.abroad.cluster_of(pod) for pod in self.pods.by("namespace", name)):
            return Outcome(outcome="waiting", reason=POD.kind)
        self._end(name)
        if bound:
            await self.home.delete(ROLE_BINDING, Key(name, OFFLOAD_ROLE))
        return Outcome(writes=int(bound))

    def _view(self, name: str) -> None:
        self.viewed.add(name)
        for selection in viewed_in(name):
            self.views.view(selection)

    def _end(self, name: str) -> None:
        if name in self.viewed:
            self.viewed.discard(name)
            for selection in viewed_in(name):
                self.views.end(selection)


def viewed_in(name: str) -> tuple[Selection, ...]:
    """Return all watches in an enabled namespace."""
    contents = (contents_in(kind, name) for kind in (CONFIG_MAP, SECRET))
    return (*contents, services_in(name), slices_in(name))
