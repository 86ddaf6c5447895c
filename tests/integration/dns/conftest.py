"""What the tests on real name servers share."""

from dns_servers import bind, coredns, updatable

__all__ = ["bind", "coredns", "updatable"]
