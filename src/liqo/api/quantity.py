"""Kubernetes quantities as exact integers of one base unit; never floats.

The base unit is one thousand-millionth ("n", the smallest suffix that Kubernetes knows), so that every
quantity is a whole number and sums are exact (apimachinery, api/resource/quantity.go).
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from liqo.errors import Malformed

UNIT = 10**9
_SUFFIX = {
    "n": 1,
    "u": 10**3,
    "m": 10**6,
    "": UNIT,
    "k": 10**3 * UNIT,
    "M": 10**6 * UNIT,
    "G": 10**9 * UNIT,
    "T": 10**12 * UNIT,
    "P": 10**15 * UNIT,
    "E": 10**18 * UNIT,
    "Ki": 2**10 * UNIT,
    "Mi": 2**20 * UNIT,
    "Gi": 2**30 * UNIT,
    "Ti": 2**40 * UNIT,
    "Pi": 2**50 * UNIT,
    "Ei": 2**60 * UNIT,
}
_FORM = re.compile(r"^([+-]?)(\d{1,32})(?:\.(\d{1,32}))?(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)$")
_MAX = (2**63 - 1) * UNIT  # int64 units; more is capped, as Kubernetes does

Amounts = Mapping[str, int]
"""Resource name → amount in base units."""


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> int:
    """Return a quantity in base units; a fraction of one is rounded away from zero.

    Raises:
        Malformed: it is no quantity.
    """
    match = _FORM.match(text)
    if match is None:
        raise Malformed(f"no quantity: {text[:40]!r}")
    sign, whole, fraction, exponent, suffix = match.groups()
    fraction = fraction or ""
    scale = _SUFFIX[suffix or ""]
    digits: int = int(whole + fraction) * scale
    power = int(exponent or 0) - len(fraction)
    amount: int = digits * 10**power if power >= 0 else -(-digits // 10**-power)
    return min(amount, _MAX) * (-1 if sign == "-" else 1)


def format_quantity(resource: str, amount: int) -> str:
    """Write an amount rounded down: cpu in millis, the rest in whole units."""
    if resource == "cpu":
        millis = amount // 10**6
        return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"
    units = amount // UNIT
    if resource in {"memory", "ephemeral-storage"} or resource.startswith("hugepages-"):
        for suffix in ("Gi", "Mi", "Ki"):
            size = _SUFFIX[suffix] // UNIT
            if units and units % size == 0:
                return f"{units // size}{suffix}"
    return str(units)


def parse_amounts(resources: Mapping[str, str]) -> dict[str, int]:
    """Read a resource list."""
    return {name: parse_quantity(str(text)) for name, text in resources.items()}


def format_amounts(amounts: Amounts) -> dict[str, str]:
    """Write a resource list, sorted by name."""
    return {name: format_quantity(name, amounts[name]) for name in sorted(amounts)}


def add(lists: Iterable[Amounts]) -> dict[str, int]:
    """Return the sums, resource by resource."""
    total: dict[str, int] = {}
    for amounts in lists:
        for name, amount in amounts.items():
            total[name] = total.get(name, 0) + amount
    return total
