"""From a commit to a release: what the workflows do beside checking and testing, each step a `make` target."""
