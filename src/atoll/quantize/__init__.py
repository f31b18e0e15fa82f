"""From a float network to a full-integer TFLite model."""
