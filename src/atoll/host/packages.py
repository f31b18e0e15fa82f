"""Which Python packages are installed: looked up, never imported."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Package:
    """An installed package.

    Attributes:
        name: What it is imported as.
        version: Its version; empty where it tells none.
        folder: Where it lies.
    """

    name: str
    version: str
    folder: Path

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


class Packages:
    """The packages on a search path.

    Args:
        path: Where Python looks for packages.
    """

    def __init__(self, path: Sequence[str]) -> None:
        self._path = list(path)

    def find(self, name: str, distribution: str = "") -> Package | None:
        """A package, found as `import` would find it.

        Args:
            name: What it is imported as.
            distribution: What pip calls it, where that is another name.
        """
        try:
            found = importlib.machinery.PathFinder.find_spec(name, self._path)
        except (ImportError, ValueError):
            return None
        version = self.version(distribution or name)
        # Any folder of that name can be imported: without a file of its own it is no package.
        if found is None or not (found.origin or version):
            return None
        places = found.submodule_search_locations or ()
        folder = Path(found.origin).parent if found.origin else Path(next(iter(places), ""))
        return Package(name, version, folder)

    def version(self, distribution: str) -> str:
        """The version of what pip calls so; empty where it is not installed."""
        for each in importlib.metadata.distributions(name=distribution, path=self._path):
            # What is left of a package that was half removed may tell none.
            with contextlib.suppress(KeyError, OSError, ValueError):
                if each.version:
                    return each.version
        return ""
