"""The file that ``smp export`` writes and ``smp import`` reads; docs/transfer-format.md describes it."""
