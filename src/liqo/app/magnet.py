"""Feeds the webhook that draws pods to virtual nodes, or keeps them off, from the stores."""

from collections.abc import Sequence

from liqo.api.kinds import DAEMON_SET, POD
from liqo.api.meta import Key, Wire
from liqo.node.magnet import draw, draw_template
from liqo.runtime.metrics import Metrics
from liqo.runtime.store import Store
from liqo.serve.admission import Judge, Ruling


class Magnet:
    """Changes new pods and DaemonSets, without network access and without side effects.

    A namespace that was enabled an instant ago may not be known here yet: a pod made in that instant stays home.

    Args:
        enabled: the namespaces whose pods may run abroad.
        metrics: counts what was said.
    """

    def __init__(self, enabled: Store, metrics: Metrics) -> None:
        self._enabled, self._metrics = enabled, metrics

    def judges(self) -> dict[str, Judge]:
        """Return who answers for which resource."""
        return {POD.plural: self.pod, DAEMON_SET.plural: self.daemon_set}

    def pod(self, wire: Wire, _name: str) -> Ruling:
        """Return what becomes of a new pod."""
        drawn = draw(wire, self._enabled.get(Key("", wire["metadata"].get("namespace", ""))))
        return self._ruling(POD.plural, drawn.patch, drawn.warnings)

    def daemon_set(self, wire: Wire, _name: str) -> Ruling:
        """Return what becomes of a DaemonSet."""
        drawn = draw_template(wire)
        return self._ruling(DAEMON_SET.plural, drawn.patch, drawn.warnings)

    def _ruling(self, resource: str, patch: Sequence[Wire], warnings: Sequence[str]) -> Ruling:
        self._metrics.admissions.labels(resource, "true", "Changed" if patch else "Unchanged").inc()
        return Ruling(allowed=True, patch=patch, warnings=warnings)
