"""Transactions and readers in PostgreSQL 15 to 18, with asyncpg."""
