"""The benchmarks of ``make bench``. Each compares two values of one run, so that its figure is a ratio.

The product imports nothing from here. The benchmarks use a separate embedded PostgreSQL, under ``.smp/bench``.
"""
