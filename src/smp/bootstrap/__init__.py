"""The composition root: settings, logging, container, entry points; the only package that sees everything."""
