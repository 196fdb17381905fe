"""Subscriptions: one user's instance of one plan revision, and the machine that moves it."""
