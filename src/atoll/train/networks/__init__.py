"""Networks that Keras does not ship."""
