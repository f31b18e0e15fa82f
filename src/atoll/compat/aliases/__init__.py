"""For PYTHONPATH: packages with the old names. Nothing of Atoll imports from here."""
