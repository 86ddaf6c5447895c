"""The frozen base of all types that go over the wire."""

from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, PlainSerializer, ValidationError

from liqo.errors import Malformed

# Where the seed spells otherwise than camelCase would.
SPELLING = {
    "cluster_id": "clusterID",
    "pod_cidrs": "podCIDRs",  # as Node spells it
    "allow_untrusted_ca": "allowUntrustedCA",
    "accept_untrusted_ca": "acceptUntrustedCA",
}


def to_wire_name(field: str) -> str:
    """Return the name of a field on the wire: camelCase, but for the spellings of the seed."""
    if field in SPELLING:
        return SPELLING[field]
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(_seconds, when_used="json")]
"""An instant in UTC, whole seconds on the wire (metav1.Time)."""


class Model(BaseModel):
    """Frozen; unknown fields are ignored, since a newer version may send more."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_wire_name,
        populate_by_name=True,
        validate_default=False,
    )

    @classmethod
    def parse(cls, wire: Any) -> Self:
        """Read what came over the wire.

        Raises:
            Malformed: it breaks a bound or a type; the message names the fields, never their values.
        """
        try:
            return cls.model_validate(wire)
        except ValidationError as exc:
            fields = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors()[:5])
            raise Malformed(f"{cls.__name__}: {fields}") from None

    def wire(self) -> dict[str, Any]:
        """Return it as JSON for the wire: only the fields that were set, None left out."""
        found: dict[str, Any] = orjson.loads(
            self.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True)
        )
        return found
