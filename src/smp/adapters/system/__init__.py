"""The machine's own clock, ids and randomness: the only package that may ask for them."""
