"""What can keep the embedded PostgreSQL from running; every message says what to do about it.

EmbeddedPostgresError
├── BinariesMissing         PostgreSQL's programs are not installed
├── DataDirectoryUnusable   the folder cannot hold the database
├── DataVersionMismatch     the folder holds data of another major version
├── NoSystemAccount         running as root, and no other account to run the server with
├── ServerBusy              another process has been starting or stopping the server for too long
├── StartFailed             PostgreSQL did not start
└── StopFailed              PostgreSQL did not stop
"""


class EmbeddedPostgresError(Exception):
    """The root: the embedded PostgreSQL could not be started or stopped; no data was harmed."""


class BinariesMissing(EmbeddedPostgresError):
    """PostgreSQL's programs are not installed."""


class DataDirectoryUnusable(EmbeddedPostgresError):
    """The folder cannot hold the database: not a folder, not writable, too deep, or somebody else's."""


class DataVersionMismatch(EmbeddedPostgresError):
    """The folder holds data of another major version of PostgreSQL."""


class NoSystemAccount(EmbeddedPostgresError):
    """Running as root, which PostgreSQL refuses, and no other account could be used or made."""


class ServerBusy(EmbeddedPostgresError):
    """Another process has been starting or stopping the server for longer than either can take."""


class StartFailed(EmbeddedPostgresError):
    """PostgreSQL did not start; the message carries what it said."""


class StopFailed(EmbeddedPostgresError):
    """PostgreSQL did not stop."""
