"""The command line: text for people, ``--json`` for programs. Its commands work through :class:`CliServices`."""
