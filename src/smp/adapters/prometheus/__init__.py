"""Metrics for Prometheus: their definitions, the observers that count, and the sum over several workers."""
