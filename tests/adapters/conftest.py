"""What the tests of the adapters share."""

from hypothesis import settings

# A busy machine is no error.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
