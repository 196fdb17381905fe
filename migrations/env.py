"""Alembic's entry: runs the revisions on the connection that the migrator hands over, or prints them as SQL."""

from __future__ import annotations

from alembic import context

# A migration waits for locks no longer than this, so that it never holds up a busy platform behind itself.
_LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '15min'"


def _limit() -> None:
    for setting in _LIMITS.split("; "):
        context.execute(setting)


def run_offline() -> None:
    # The driver's dialect, for the default one doubles every per cent sign.
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
