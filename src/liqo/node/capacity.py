"""What is believed of an offer; pure."""

import re
from collections.abc import Mapping

from liqo.api.names import FOREIGN_PREFIX, NODE_LABELS
from liqo.api.quantity import UNIT, Amounts, format_amounts, parse_amounts

PLAIN = {"cpu", "memory", "ephemeral-storage", "pods"}
NAME_MAX = 253 + 1 + 63  # a qualified name: domain, slash, name
TIMES_HOME = 10  # the most that is believed where nobody said otherwise
_EXTENDED = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?",
    re.ASCII,
)
_LABEL_NAME = re.compile(r"[a-z.]+/[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", re.ASCII)


def believed(offered: Mapping[str, str], limit: Amounts) -> dict[str, str]:
    """Return the capacity of the virtual node: known resources, none below 0, at most `limit`.

    Extended resources carry a domain and are whole (core/v1 ResourceList); those of kubernetes.io are the API's own.
    """
    found: dict[str, int] = {}
    for name, amount in parse_amounts(offered).items():
        if name not in PLAIN:
            domain = name.split("/")[0]
            if len(name) > NAME_MAX or not _EXTENDED.fullmatch(name) or domain.endswith("kubernetes.io"):
                continue
        if name != "cpu":
            amount = amount // UNIT * UNIT  # noqa: PLW2901  what is not cpu comes in whole units
        if name in limit:
            amount = min(amount, limit[name])  # noqa: PLW2901
        if amount > 0 or (amount == 0 and name in PLAIN):
            found[name] = amount
    return format_amounts(found)


def limit_of(spec: Mapping[str, str], config: Mapping[str, str], home: Amounts) -> Amounts:
    """Return the most that is believed: of the ForeignCluster, else of the ClusterConfig, else 10 times home's own."""
    if spec:
        return parse_amounts(spec)
    if config:
        return parse_amounts(config)
    return {name: amount * TIMES_HOME for name, amount in home.items() if amount > 0}


def is_foreign_label(name: str) -> bool:
    """Return whether a label is one that a foreign cluster may set on its node."""
    return name in NODE_LABELS or name.startswith(FOREIGN_PREFIX)


def believed_labels(offered: Mapping[str, str]) -> dict[str, str]:
    """Return the labels that a foreign cluster may set on its node."""
    return {
        name: value
        for name, value in sorted(offered.items())
        if is_foreign_label(name) and _LABEL_NAME.fullmatch(name) and _LABEL_VALUE.fullmatch(value)
    }
