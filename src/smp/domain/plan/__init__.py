"""Plans and the immutable revisions of their terms."""
