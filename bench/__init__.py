"""Measures what docs promise, on clusters of its own."""
