"""The JSON API for clients and administrators."""
