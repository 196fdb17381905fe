"""The ports: what the use cases need from adapters, one Protocol in each file."""
