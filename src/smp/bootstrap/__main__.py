"""``python -m smp.bootstrap``."""

from smp.bootstrap.main import main

main()
