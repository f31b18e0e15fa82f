"""What is where on a photo."""
