"""Subscriptions: one's own, and those that administrators see."""
