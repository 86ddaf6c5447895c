"""The conditions that this room owns, and the event that tells of one."""

from liqo.api.kinds import FOREIGN_CLUSTER
from liqo.api.meta import Condition, Wire
from liqo.api.reasons import ConditionType, Reason
from liqo.runtime.plan import Event

OUTGOING = (
    ConditionType.IDENTITY_VERIFIED,
    ConditionType.TRUSTED,
    ConditionType.REQUESTED,
    ConditionType.ACCEPTED,
    ConditionType.ADVERTISED,
)
INCOMING = (ConditionType.INCOMING_ACCEPTED, ConditionType.SHARING)


def forge_event(about: Wire, new: Condition) -> Event:
    """Return the event that tells of a condition; a warning if somebody may have to do something."""
    calm = {Reason.NOT_JOINED, Reason.ENDING}
    return Event(
        about=about,
        kind=FOREIGN_CLUSTER,
        reason=new.reason,
        message=f"{new.type}: {new.message}",
        warning=new.status == "False" and new.reason not in calm,
    )
