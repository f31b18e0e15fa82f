"""Photos and labels: found, split, decoded and turned into numbers."""
