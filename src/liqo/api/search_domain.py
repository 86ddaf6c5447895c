"""SearchDomain: a DNS domain in which to look for clusters."""

from typing import Annotated, ClassVar

from pydantic import Field

from liqo.api.bounds import Message, ReasonText
from liqo.api.meta import Condition, ObjectMeta
from liqo.api.model import Model


class SearchDomainSpec(Model):
    """Where to look."""

    domain: Annotated[str, Field(min_length=1, max_length=253)]
    autojoin: bool = False


class Problem(Model):
    """Why one instance of the domain was not taken."""

    instance: Annotated[str, Field(max_length=255)]
    reason: ReasonText
    message: Message = ""


class SearchDomainStatus(Model):
    """What was found."""

    found: list[Annotated[str, Field(max_length=253)]] = Field(default_factory=list, max_length=5_000)
    problems: list[Problem] = Field(default_factory=list, max_length=100)
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
            ("Autojoin", "boolean", ".spec.autojoin"),
            ("Age", "date", ".metadata.creationTimestamp"),
        ],
        "rules": [],
    }

    metadata: ObjectMeta
    spec: SearchDomainSpec
    status: SearchDomainStatus = SearchDomainStatus()
