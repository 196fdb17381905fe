"""Use cases that the platform runs by itself at an interval: a frozen command and its handler in each file."""
