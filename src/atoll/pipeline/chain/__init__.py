"""Chains of models: steps that a photo goes through, each on a device of its own."""
