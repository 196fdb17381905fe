"""Write the domains in the keys of emails as A-labels, so that both spellings of a domain are one address.

If another account has the new key, the key stays: ``smp doctor`` names the account. Only addresses with a domain that
is not ASCII are concerned. While processes of the previous release run, they do not find these addresses.

Revision ID: 0010
"""

from __future__ import annotations

import idna
from alembic import context, op
from sqlalchemy import text

revision = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

_FIND = "SELECT id, email_key FROM users WHERE email_key ~ '@.*[^[:ascii:]]'"
_CLAIM = """
    UPDATE user_emails SET email_key = :key WHERE email_key = :old AND user_id = :user_id
    AND NOT EXISTS (SELECT FROM user_emails WHERE email_key = :key)
"""
_SAVE = "UPDATE users SET email_key = :key WHERE id = :user_id"


def upgrade() -> None:
    if context.is_offline_mode():
        return  # SQL cannot compute A-labels; ``smp migrate`` does
    connection = op.get_bind()
    for user_id, old in connection.execute(text(_FIND)).all():
        local, _, domain = old.partition("@")
        try:
            key = f"{local}@{idna.encode(domain, uts46=True).decode()}"
        except idna.IDNAError:
            continue
        if connection.execute(text(_CLAIM), {"key": key, "old": old, "user_id": user_id}).rowcount == 1:
            connection.execute(text(_SAVE), {"key": key, "user_id": user_id})


def downgrade() -> None:
    """Keep the keys: the previous release finds the address by its A-labels."""
