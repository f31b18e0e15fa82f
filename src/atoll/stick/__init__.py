"""A virtual Edge TPU on USB: the real driver talks to it as to a stick."""

from atoll.stick.plugged import Environment, plugged

__all__ = ["Environment", "plugged"]
