"""What was native code."""
