"""What can go wrong with a backup or a restore."""


class BackupError(Exception):
    """A backup or a restore did not happen; the message says why, and what to do."""
