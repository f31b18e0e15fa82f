"""Models in several segments."""
