"""Subscription Management Platform: accounts, plans, trials, subscriptions, and who may use what at this instant.

The packages depend inward only: ``bootstrap`` → ``adapters`` → ``application`` → ``domain``.
"""

__version__ = "0.2.0"
