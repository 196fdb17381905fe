"""The errors of the embedded PostgreSQL. Every message says what to do.

EmbeddedPostgresError
├── BinariesMissing         PostgreSQL's programs are not installed
├── DataDirectoryUnusable   the folder cannot hold the database
├── DataVersionMismatch     the folder holds data of another major version
├── NoSystemAccount         the process is root, and there is no other account to run the server
├── ServerBusy              another process has been starting or stopping the server for too long
├── StartFailed             PostgreSQL did not start
└── StopFailed              PostgreSQL did not stop
"""


class EmbeddedPostgresError(Exception):
    """The root of the errors: the embedded PostgreSQL could not be started or stopped. No data was changed."""


class BinariesMissing(EmbeddedPostgresError):
    """PostgreSQL's programs are not installed."""


class DataDirectoryUnusable(EmbeddedPostgresError):
    """The folder cannot hold the database: it is no folder, not writable, too deep, or has files of something else."""


class DataVersionMismatch(EmbeddedPostgresError):
    """The folder holds data of another major version of PostgreSQL."""


class NoSystemAccount(EmbeddedPostgresError):
    """The process is root, which PostgreSQL refuses, and no other account could be used or created."""


class ServerBusy(EmbeddedPostgresError):
    """Another process has been starting or stopping the server for longer than that should take."""


class StartFailed(EmbeddedPostgresError):
    """PostgreSQL did not start; the message contains its output."""


class StopFailed(EmbeddedPostgresError):
    """PostgreSQL did not stop."""
