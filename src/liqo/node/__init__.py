"""The virtual node that stands for another cluster."""
