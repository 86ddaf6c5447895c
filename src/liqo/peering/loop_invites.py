"""Takes back invites that were used or are over: a key is the ServiceAccount that is one."""

from dataclasses import dataclass

from liqo.api.kinds import SERVICE_ACCOUNT
from liqo.api.meta import Key
from liqo.peering.invites import Move, decide
from liqo.runtime.loop import Outcome
from liqo.runtime.ports import Clock, Cluster
from liqo.runtime.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Invites:
    """All that its reconcile needs."""

    home: Cluster
    accounts: Store  # of invites, in Liqo's namespace
    requests: Store
    clock: Clock

    async def reconcile(self, key: Key) -> Outcome:
        """Delete one invite if its time has come; its token ends with it."""
        account = self.accounts.get(key)
        if account is None:
            return Outcome()
        move, wake = decide(account, self.requests.values(), self.clock.now())
        if move is Move.KEEP:
            return Outcome(wake=wake)
        await self.home.delete(SERVICE_ACCOUNT, key, uid=account["metadata"]["uid"])
        return Outcome(writes=1)
