"""The entry point of Alembic: runs the revisions on the connection of the migrator, or prints them as SQL."""

from __future__ import annotations

from alembic import context

# The limits of each migration: other transactions queue behind its wait for a lock, so it must be short.
_LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15min'"


def _limit() -> None:
    for setting in _LIMITS.split("; "):
        context.execute(setting)


def run_offline() -> None:
    # The driver's dialect, because the default one doubles every percent sign.
    context.configure(dialect_name="postgresql+asyncpg", literal_binds=True)
    with context.begin_transaction():
        _limit()
        context.run_migrations()


def run_online() -> None:
    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], on_version_apply=attributes.get("on_version_apply"))
    with context.begin_transaction():
        _limit()
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
