"""Demo data: realistic plans, users and subscriptions, made by the domain's methods at past instants."""
