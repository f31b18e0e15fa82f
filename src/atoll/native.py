"""C sources that are compiled when they are first needed, and kept."""
