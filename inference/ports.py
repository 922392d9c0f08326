"""Free ports for servers that this program starts on its own machine."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Return different TCP ports of the loopback address on which nothing listens at this moment."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]
