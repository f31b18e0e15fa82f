"""The rewrites, one concern a file: each ends with its rows of the table."""
