"""Use cases that change something: a frozen command and its handler in each file."""
