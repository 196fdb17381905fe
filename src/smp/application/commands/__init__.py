"""The commands: use cases that change something. Each file has a frozen command and its handler."""
