"""The HTTP API: Litestar at the edge; wire types here, rules inside."""
