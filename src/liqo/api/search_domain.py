"""SearchDomain: a DNS domain in which to look for clusters."""

from typing import Annotated, ClassVar

from pydantic import Field

from liqo.api.bounds import ClusterIDText, Message, ReasonText
from liqo.api.meta import Condition, ObjectMeta
from liqo.api.model import Model

FOUND_MAX = 5_000
PROBLEMS_MAX = 100


class SearchDomainSpec(Model):
    """Where to look."""

    domain: Annotated[str, Field(min_length=1, max_length=253)]
    autojoin: bool | None = None  # absent: as ClusterConfig says


class Problem(Model):
    """Why one instance of the domain was not taken."""

    instance: Annotated[str, Field(max_length=255)]
    reason: ReasonText
    message: Message = ""


class SearchDomainStatus(Model):
    """What was found."""

    found: list[ClusterIDText] = Field(default_factory=list, max_length=FOUND_MAX)
    found_count: int = 0
    problems: list[Problem] = Field(default_factory=list, max_length=PROBLEMS_MAX)
    problem_count: int = 0  # of which `problems` shows the first
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )


class SearchDomain(Model):
    """A DNS domain in which to look for clusters."""

    crd: ClassVar = {
        "shortNames": ["sd"],
        "columns": [
            ("Domain", "string", ".spec.domain"),
            ("Found", "integer", ".status.foundCount"),
            ("Problems", "integer", ".status.problemCount"),
            ("Answered", "string", '.status.conditions[?(@.type=="Answered")].status'),
            ("Reason", "string", '.status.conditions[?(@.type=="Answered")].reason'),
            ("Authenticated", "string", '.status.conditions[?(@.type=="Authenticated")].status', 1),
            ("Autojoin", "boolean", ".spec.autojoin"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [],
    }

    metadata: ObjectMeta
    spec: SearchDomainSpec
    status: SearchDomainStatus = SearchDomainStatus()
