"""Passwords: hashing them slowly, and knowing the ones that everybody tries first."""
