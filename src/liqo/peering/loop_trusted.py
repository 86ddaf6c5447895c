"""Says what is wrong in the ConfigMap trusted-ca-certificates: its key is that ConfigMap."""

from dataclasses import dataclass

from liqo.api.kinds import CONFIG_MAP
from liqo.api.meta import Key
from liqo.api.reasons import Reason
from liqo.identity.trust import parse_trusted
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Events
from liqo.runtime.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedCertificates:
    """All that its reconcile needs; who uses the certificates reads them from the store each time."""

    config_maps: Store  # in Liqo's namespace
    events: Events

    async def reconcile(self, key: Key) -> Outcome:
        """Tell people of each entry that is no certificate; the others count."""
        stored = self.config_maps.get(key)
        if stored is None:
            return Outcome()
        _, problems = parse_trusted(stored.get("data") or {})
        for problem in problems:
            message = f"{problem.entry}: {problem.message}; the other certificates count"
            self.events.emit(stored, CONFIG_MAP, reason=Reason.BAD_CERTIFICATE, message=message, warning=True)
        return Outcome(
            outcome="refused" if problems else "done", reason=Reason.BAD_CERTIFICATE if problems else ""
        )
