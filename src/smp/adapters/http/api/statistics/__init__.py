"""The platform in figures."""
