"""The module `edgetpu.utils.warning`: the names that were old even then."""

from __future__ import annotations

import functools
import logging
import re
import sys
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def camelcase_to_lowercase(name: str) -> str:
    """A name such as RunInference as run_inference."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def deprecated(func: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Has a function tell, at each call, what it is called now.

    Args:
        func: A function with a name in camel case.
    """

    @functools.wraps(func)
    def telling(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        caller = sys._getframe(1)
        logging.warning(
            "From %s:%s: The name %s will be deprecated. Please use %s instead.\n",
            caller.f_code.co_filename,
            caller.f_lineno,
            func.__name__,
            camelcase_to_lowercase(func.__name__),
        )
        return func(*args, **kwargs)

    return telling
