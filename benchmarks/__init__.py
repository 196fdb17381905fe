"""What ``make bench`` runs: each benchmark compares two things in one run, so that its figure is a ratio.

Nothing here is imported by the product. The PostgreSQL is an embedded one of its own, under ``.smp/bench``.
"""
