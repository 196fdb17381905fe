"""The entry point of Alembic: runs the revisions on the connection of the migrator, or prints them as SQL.

Each revision is a transaction. ``smp.adapters.postgres.online_ddl`` has the steps that run outside of it, such as
CREATE INDEX CONCURRENTLY.
"""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes


def run_offline() -> None:
    # The driver's dialect, because the default one doubles every percent sign.
    context.configure(
        dialect_name="postgresql+asyncpg",
        literal_binds=True,
        transaction_per_migration=True,
        version_table=attributes["version_table"],
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    context.configure(
        connection=attributes["connection"],
        on_version_apply=attributes["on_version_apply"],
        transaction_per_migration=True,
        version_table=attributes["version_table"],
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
