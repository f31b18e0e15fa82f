"""Changing a graph so that more of it maps: a table of rewrites, each checked by running both."""
