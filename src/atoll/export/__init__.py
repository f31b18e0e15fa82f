"""Models packed for other programs."""
