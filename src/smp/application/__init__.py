"""Use cases: one file each; they own their transactions and know the world by ports alone."""
