"""Devices and interpreters: where a model runs."""
