"""Figures for Prometheus: which there are, what counts them, and how several workers tell theirs as one."""
