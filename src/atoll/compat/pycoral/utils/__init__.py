"""Edge TPUs, and label files."""
