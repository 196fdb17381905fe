"""A real PostgreSQL without an installation: run by the processes that use it, stopped by the last one out."""
