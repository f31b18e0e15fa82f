"""A model of the chip's speed: cycles an operator, bytes over the link, time a call."""
