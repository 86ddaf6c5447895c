"""What a whole domain adds up to: its clusters, and what is wrong in it; pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from liqo.api.conditions import condition
from liqo.api.meta import Condition, Wire
from liqo.api.reasons import ConditionType, Reason
from liqo.api.search_domain import FOUND_MAX, PROBLEMS_MAX
from liqo.discovery.announcement import show
from liqo.discovery.dns import SILENT, Answer
from liqo.discovery.sighting import Sighting
from liqo.discovery.zone import TTL_LEAST, Said, assemble
from liqo.errors import Malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with one instance, for whoever wrote the zone."""

    instance: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was last said about an instance, and until when that holds."""

    sighting: Sighting | None
    problem: Problem | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The instances of a domain.

    Args:
        instances: in the order of their names.
        answers: by the name at which was asked for them, the domain itself first.
        lists: what stands at each of these names, as far as it is known.
        surplus: how many instances there are beyond what is taken.
    """

    instances: Sequence[str]
    answers: Mapping[str, Answer]
    lists: Mapping[str, Collection[str]]
    surplus: int = 0

    @property
    def lost(self) -> dict[str, Reason]:
        """The names of which nobody knows what stands there now, and why."""
        lost = _lost(self.answers.values())
        return {name: a.fault for name, a in self.answers.items() if a.fault in lost}

    @property
    def silent(self) -> bool:
        """Whether nobody knows anything of the domain now."""
        return len(self.lost) == len(self.answers)

    @property
    def fault(self) -> Reason | None:
        """Why no server lists anything now; None where one does, or where there is nothing."""
        if any(a.records for a in self.answers.values()):
            return None
        return next(iter([*self.lost.values(), *(a.fault for a in self.answers.values())]))


def _lost(answers: Collection[Answer]) -> frozenset[Reason]:
    """Return the faults after which nobody knows what stands at a name; a mistake in a zone is nobody's leaving it.

    One name may well not exist, as `_liqo._tcp` where clusters are listed at the domain itself. Where none does, the
    domain is gone or its servers have lost it: a lapsed registration and a zone that is not loaded look alike.
    """
    lost = SILENT | {Reason.CNAME_LOOP}
    exists = any(a.fault in {None, Reason.CNAME_LOOP} for a in answers)
    return lost if exists else lost | {Reason.NO_SUCH_DOMAIN}


def list_up(answers: Mapping[str, Answer], before: Mapping[str, Collection[str]]) -> Listed:
    """Return what a domain lists.

    Where nobody knows what stands at a name now, what stood there before does. So an instance goes as soon as
    all names at which it was listed are answered without it, be another name silent for ever, and a domain that is
    no longer asked keeps nobody.

    Args:
        answers: to PTR, by name.
        before: what stood at each name when it was last asked.
    """
    lists: dict[str, Collection[str]] = {}
    lost = _lost(answers.values())
    for name, answer in answers.items():
        now = {r for r in answer.records if isinstance(r, str) and r}
        lists[name] = now.union(before.get(name, ())) if answer.fault in lost else now
    names = sorted(set().union(*lists.values()))
    surplus = max(len(names) - FOUND_MAX, 0)
    return Listed(instances=names[:FOUND_MAX], answers=answers, lists=lists, surplus=surplus)


def judge(said: Said, *, seed: str, now: datetime) -> Known:
    """Return what an instance stands for."""
    authenticated = all(a.proof is not Reason.PLAIN_DNS for a in said.answers())
    try:
        sighting = assemble(said, seed=seed, authenticated=authenticated)
    except Malformed as fault:
        problem = Problem(instance=show(said.instance), reason=fault.reason, message=fault.message)
        return Known(sighting=None, problem=problem, until=now + TTL_LEAST)
    return Known(sighting=sighting, problem=None, until=now + said.ttl)


def unanswered(instance: str, reason: Reason, old: Known | None, now: datetime) -> Known:
    """Return what is known of an instance about which there was no answer: what was, and a problem."""
    problem = Problem(instance=show(instance), reason=reason, message=reason.sentence)
    return Known(sighting=old.sighting if old else None, problem=problem, until=now + TTL_LEAST)


def sum_up(
    listed: Listed, found: Mapping[str, Known], home_id: str
) -> tuple[dict[str, Sighting], list[Problem]]:
    """Return the clusters of a domain by id, and what is wrong in it.

    Args:
        listed: what the domain lists.
        found: what is known of each instance.
        home_id: our own ClusterID, which is skipped; "" if there is none.
    """
    sightings: dict[str, Sighting] = {}
    problems = [
        Problem(instance=show(name), reason=why, message=f"whoever was listed here stays: {why.sentence}")
        for name, why in listed.lost.items()
    ]
    for instance, known in sorted(found.items()):
        if known.problem is not None:
            problems.append(known.problem)
        seen = known.sighting
        if seen is None or seen.cluster_id == home_id:
            continue
        first = sightings.setdefault(seen.cluster_id, seen)
        if first is not seen:
            message = f"it has the same id as {show(first.instance)}, which counts"
            problems.append(Problem(instance=show(instance), reason=Reason.ID_CONFLICT, message=message))
    if listed.surplus:
        message = f"{listed.surplus} more instances are not looked at; {FOUND_MAX} are"
        problems.append(Problem(instance="", reason=Reason.TOO_MANY, message=message))
    return sightings, problems


def status_fields(sightings: Mapping[str, Sighting], problems: Sequence[Problem]) -> Wire:
    """Return what a SearchDomain's status says of them."""
    return {
        "found": sorted(sightings),
        "foundCount": len(sightings),
        "problems": [
            {"instance": p.instance, "reason": str(p.reason), "message": p.message[:1024]}
            for p in problems[:PROBLEMS_MAX]
        ],
        "problemCount": len(problems),
    }


def _summary(problems: Sequence[Problem]) -> list[str]:
    """Return a sentence with the number of problems by reason, the most frequent first; none without any."""
    counts = sorted(Counter(str(p.reason) for p in problems).items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"Problems: {', '.join(f'{reason} ×{count}' for reason, count in counts)}."] if counts else []


def conditions(listed: Listed, found: Mapping[str, Known], problems: Sequence[Problem]) -> list[Condition]:
    """Return what is true of a domain whose servers have answered; of problems, how many there are of each kind."""
    reason = listed.fault or (Reason.ANSWERED if listed.instances else Reason.NO_INSTANCES)
    message = " ".join([reason.sentence, *_summary(problems)])
    answered = condition(ConditionType.ANSWERED, listed.fault is None, reason, message)
    proofs = {a.proof for a in listed.answers.values() if a.fault is None}
    seen = [k.sighting for k in found.values() if k.sighting is not None]
    if Reason.PLAIN_DNS in proofs or not proofs or not all(s.authenticated for s in seen):
        return [answered, condition(ConditionType.AUTHENTICATED, False, Reason.PLAIN_DNS)]
    proof = Reason.DNSSEC if proofs == {Reason.DNSSEC} else Reason.ENCRYPTED
    return [answered, condition(ConditionType.AUTHENTICATED, True, proof)]
