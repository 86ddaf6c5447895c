"""Sockets in: parse, call a pure function, answer."""
