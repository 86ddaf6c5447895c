"""Sockets out: implements the ports, maps errors, decides nothing."""
