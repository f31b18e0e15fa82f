"""The single checks of the doctor: each looks at one thing, and tells its cure."""
