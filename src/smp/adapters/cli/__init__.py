"""The command line: rich output for people, ``--json`` for programs; what it does, a :class:`Runtime` does for it."""
