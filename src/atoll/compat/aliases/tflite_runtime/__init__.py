"""The name `tflite_runtime`, for programs that import it."""

from atoll.compat.aliasing import take_over

take_over(__name__)
