"""Several devices and several models at work together."""
