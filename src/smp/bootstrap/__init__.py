"""The composition root: settings, logging, the container and the entry points; the only package that sees everything."""
