"""Where a fact about the Edge TPU comes from: how sure it is, and where it can be read again."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Evidence(StrEnum):
    """How a fact is known, the surest first."""

    MEASURED = "measured"
    LOG = "compiler log"
    VENDOR = "vendor document"
    INFERRED = "inferred"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Source:
    """One place that a fact comes from.

    Attributes:
        evidence: How it is known.
        where: The document, the repository and issue, or the file that was looked at.
    """

    evidence: Evidence
    where: str

    def __str__(self) -> str:
        return f"{self.evidence}: {self.where}"


def vendor(where: str) -> Source:
    """What the maker of the chip writes.

    Args:
        where: The page, and what of it.
    """
    return Source(Evidence.VENDOR, where)


def log(where: str) -> Source:
    """What Google's compiler printed for somebody.

    Args:
        where: The repository and issue, or repository and file, that show it.
    """
    return Source(Evidence.LOG, where)


def measured(where: str) -> Source:
    """What was read off a compiled file.

    Args:
        where: The file's name.
    """
    return Source(Evidence.MEASURED, where)


def inferred(where: str) -> Source:
    """What follows from other facts, and was not seen itself.

    Args:
        where: What it follows from.
    """
    return Source(Evidence.INFERRED, where)


PAGE = vendor("the vendor's table")
PAGE_2019 = vendor("the vendor's table of 2019")

DOCUMENTS = {
    PAGE: "coral.ai/docs/edgetpu/models-intro, Supported operations, as last published",
    PAGE_2019: "the same table in 2019, copied by dgist-datalab/Datalab_Intern, Edge_TPU/"
    "convert_model_for_Edge_TPU.md",
}
"""Where the documents are that rows name in short."""
