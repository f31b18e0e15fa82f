"""The chip: its rules, and the compiler that cuts a graph for it."""
