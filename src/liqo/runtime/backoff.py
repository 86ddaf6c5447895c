"""How long to wait after failures in a row."""

from datetime import timedelta

from liqo.runtime.ports import Random

DOUBLINGS = 30  # beyond this every cap is reached; keeps the power small


def backoff(failures: int, random: Random, *, base: timedelta, cap: timedelta) -> timedelta:
    """Return base * 2 ** (failures - 1), at most `cap`, less up to a half by chance; 0 without failures.

    The chance keeps many that failed together from coming back together.
    """
    if failures <= 0:
        return timedelta(0)
    full = min(cap, base * (1 << min(failures - 1, DOUBLINGS)))
    return full * random.uniform(0.5, 1.0)
