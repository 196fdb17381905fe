"""PostgreSQL 15 to 18: the transactions and readers that the platform runs on, over asyncpg."""
