"""Registering, signing in and out, passwords and sessions."""
