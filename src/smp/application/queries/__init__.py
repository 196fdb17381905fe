"""Use cases that only read: frozen views made by readers; no aggregate is loaded to be printed."""
