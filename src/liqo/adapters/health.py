"""What the answers of another cluster add up to; pure (docs/explanation/peering.md, "What an answer means")."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from liqo.errors import Absent, Fault, Forbidden, NotTrusted, Stale, Unauthorized, Unavailable
from liqo.runtime.ports import Health

MISSES = 3  # in a row make a cluster away
TWICE_APART = timedelta(seconds=10)  # two refusals so far apart are meant


@dataclass(slots=True)
class Tally:
    """The answers so far. Until the first one a cluster counts as away."""

    expires: datetime | None  # of our token
    made: datetime
    state: Health = Health.AWAY
    since: datetime = field(init=False)
    heard: datetime | None = None
    failures: int = 0
    refused_at: datetime | None = None  # the first refusal in a row
    message: str = "not asked yet"
    reason: str = ""

    def __post_init__(self) -> None:
        """Begin when the connection was made."""
        self.since = self.made

    def note(self, fault: Fault | None, now: datetime) -> bool:
        """Take one answer in (None: it was good); return whether that changes anything for the loops."""
        before = (self.state, self.failures == 0)
        match fault:
            case Unauthorized() | Forbidden():
                self._refused(fault, now)
            case Unavailable() | NotTrusted():
                self.failures += 1
                self.message, self.reason = fault.message, fault.reason
                if self.failures >= MISSES:
                    self._become(Health.AWAY, now)
            case None | Absent() | Stale():
                self.failures, self.refused_at, self.heard = 0, None, now
                self.message = self.reason = ""
                self._become(Health.READY, now)
            case _:
                self.heard = now  # it refused what we sent, not us
        return before != (self.state, self.failures == 0)

    def alive(self, now: datetime) -> bool:
        """Take in a line of a watch; return as `note`.

        A watch outlives the rights and the token with which it was opened, so that it ends no refusal.
        """
        refused = self.refused_at is not None or self.state in {Health.REFUSED, Health.EXPIRED}
        return False if refused else self.note(None, now)

    def _refused(self, fault: Fault, now: datetime) -> None:
        self.failures += 1
        self.message, self.reason = fault.message, fault.reason
        if isinstance(fault, Unauthorized) and self.expires is not None and now >= self.expires:
            self._become(Health.EXPIRED, now)
        elif self.refused_at is None:
            self.refused_at = now
        elif now - self.refused_at >= TWICE_APART:
            self._become(Health.REFUSED, now)

    def _become(self, state: Health, now: datetime) -> None:
        if state is not self.state:
            self.state, self.since = state, now

    def health(self, now: datetime) -> Health:
        """Return what a loop should take the cluster for."""
        if self.state is Health.READY and self.expires is not None and now >= self.expires and self.failures:
            return Health.EXPIRED
        return self.state
