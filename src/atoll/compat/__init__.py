"""The old Coral libraries' own names, over this runtime."""
