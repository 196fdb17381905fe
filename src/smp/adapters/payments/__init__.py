"""Ways of taking money, one file each: none takes any yet; a real provider is one more file."""
