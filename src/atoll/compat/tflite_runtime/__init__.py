"""The package `tflite_runtime`, over LiteRT."""

__version__ = "2.14.0"
"""The version of the interface, not of this."""

__git_version__ = "0.6.0-151643-g4dacf3f368e"
"""What that version said."""
