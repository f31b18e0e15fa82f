"""What is plugged into this machine, and whether it is set up for it."""
