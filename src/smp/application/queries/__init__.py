"""The queries: use cases that only read. Readers return frozen views; no aggregate is loaded."""
