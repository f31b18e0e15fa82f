"""The TFLite file format: FlatBuffer to graph and back. Nothing of any chip."""
