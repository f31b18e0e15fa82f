"""From the tensors of well-known kinds of models to what they mean, and back."""
