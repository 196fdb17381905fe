"""A real PostgreSQL server without an installation: the processes that use it start it, and the last one stops it."""
