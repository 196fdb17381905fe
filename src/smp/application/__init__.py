"""The use cases, one in each file. They own their transactions, and use everything outside through ports."""
