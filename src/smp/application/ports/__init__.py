"""What the use cases need of the world, one small Protocol a file."""
