"""The package `pycoral`, over this runtime."""

__version__ = "2.0.0"
"""The version of the interface, not of this."""
