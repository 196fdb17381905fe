"""Subscriptions and the table of their transitions."""
