"""Backing up and restoring a database with PostgreSQL's own programs."""
