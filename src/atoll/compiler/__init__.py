"""From a TFLite model to a compiled file: the passes in order, and what is said of them."""
