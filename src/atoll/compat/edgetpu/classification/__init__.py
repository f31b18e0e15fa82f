"""What is on a photo."""
