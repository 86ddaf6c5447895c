"""Composition root: builds adapters, stores, loops and servers; decides nothing."""
