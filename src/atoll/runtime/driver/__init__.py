"""The driver of the real chip: loaded, adapted to LiteRT, and kept in a process of its own."""
