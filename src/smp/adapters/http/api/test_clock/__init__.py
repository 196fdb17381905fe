"""The clock of a test platform."""
