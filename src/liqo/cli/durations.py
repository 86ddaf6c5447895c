"""Lengths of time as people write them."""

import re

from liqo.errors import Invalid

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SPAN = re.compile(r"([+-]?)((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+|0)")


def parse_span(text: str) -> float:
    """Return a signed duration in seconds.

    Raises:
        Invalid: it is none.
    """
    match = _SPAN.fullmatch(text)
    if match is None:
        raise Invalid(f"{text!r} is no duration", hint="such as +5m, -90s, 1h30m, or 0")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(match[2]))
    return -seconds if match[1] == "-" and seconds else seconds
