"""`kubectl port-forward` in a cluster of the lab, for as long as somebody uses it."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from liqo.errors import Unavailable
from liqo.lab.lab import Lab

_PORT = re.compile(r":(\d+) -> ")


@contextmanager
def forwarded(lab: Lab, name: str, args: Sequence[str]) -> Iterator[int]:
    """Have a port of a cluster's host, any that is free, lead to one of a pod; yield which.

    Args:
        lab: the clusters.
        name: of the cluster.
        args: what kubectl port-forward takes, the remote port as ":8080".

    Raises:
        Unavailable: kubectl ended without a port; it says why on stderr.
    """
    command = lab.command(name, ("kubectl", "port-forward", *args))
    with subprocess.Popen(command.argv, env=command.env, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout is not None
            found = _PORT.search(forward.stdout.readline())
            if found is None:
                raise Unavailable(f"{name}: no port is forwarded", hint="kubectl describe pod")
            yield int(found[1])
        finally:
            forward.terminate()
