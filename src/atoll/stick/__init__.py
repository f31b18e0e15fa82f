"""A virtual Edge TPU on USB: the real driver talks to it as to a stick."""
