"""Health and metrics: asked often, by machines."""
