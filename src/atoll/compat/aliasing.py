"""The old packages' own names: `import pycoral` finds what is in `atoll.compat.pycoral`."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# A folder with packages of these names, for PYTHONPATH: importing one of them comes here.
FOLDER = Path(__file__).with_name("aliases")

# Each package, and a module by which the original is known.
_ORIGINALS = {
    "pycoral": "utils/edgetpu.py",
    "edgetpu": "basic/basic_engine.py",
    "tflite_runtime": "interpreter.py",
}
_HOME = "atoll.compat"


def install() -> None:
    """Has the names found, from now on and in this process, wherever else they could be found."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def take_over(name: str) -> None:
    """What a package in the folder of aliases does when it is imported: it becomes the real one.

    Args:
        name: The package.
    """
    from atoll.compat.origins import watch
    from atoll.compat.renamed import restore

    install()
    watch()
    restore()
    sys.modules[name] = importlib.import_module(f"{_HOME}.{name}")


class _Finder(MetaPathFinder):
    """Finds the packages, and all that is in them, in `atoll.compat`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del target
        package = fullname.partition(".")[0]
        if package not in _ORIGINALS:
            return None
        if path is None:
            return None if _is_users_own(package) else _in_aliases(package)
        try:
            found = importlib.util.find_spec(f"{_HOME}.{fullname}")
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        return importlib.util.spec_from_loader(
            fullname, _Loader(found.name), is_package=found.submodule_search_locations is not None
        )


class _Loader(Loader):
    """Gives a module another name.

    Args:
        real: Its own.
    """

    def __init__(self, real: str) -> None:
        self._real = real

    def exec_module(self, module: ModuleType) -> None:
        """Puts the real module in place of the new one, which Python allows a module to do."""
        sys.modules[module.__name__] = importlib.import_module(self._real)


def _in_aliases(package: str) -> ModuleSpec | None:
    return PathFinder.find_spec(package, [str(FOLDER)])


def _is_users_own(package: str) -> bool:
    """Whether the program brings something else of this name along.

    A checkout or an installation of the original is none of that: its native part does not load on
    this Python.
    """
    spec = PathFinder.find_spec(package, [entry for entry in sys.path if entry != str(FOLDER)])
    if spec is None or spec.origin is None:
        return False
    if spec.submodule_search_locations is None:
        return True
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    return not any((folder / _ORIGINALS[package]).is_file() for folder in folders)
