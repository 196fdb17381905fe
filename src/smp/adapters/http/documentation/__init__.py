"""OpenAPI, its page, and the pages of the problems."""
