"""Label files and photos."""
