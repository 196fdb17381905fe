"""The access question."""
