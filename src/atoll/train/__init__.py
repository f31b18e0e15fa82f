"""Backbones, their weights, and fine-tuning."""
