"""What the owner of a Frigate reads in the folder: three steps, and what to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoll.export.frigate_forms import CLASSIFICATION

if TYPE_CHECKING:
    from atoll.export.frigate_forms import Fit


def readme(
    name: str, home: str, made: Fit, detector: str, files: list[str], notes: list[str]
) -> str:
    """The README of an export.

    Args:
        name: What the model is called.
        home: The folder that the files belong into, as Frigate's container calls it.
        made: How the model serves Frigate.
        detector: "edgetpu" or "cpu".
        files: The other files of the export.
        notes: What a person should know, a sentence each.
    """
    copied = [file for file in files if file != "config.yml"]
    first = (
        f"1. **Copy** {_listed(copied)} to `{home}/`. That is a folder of Frigate's container; on "
        "the host it is the folder that is mounted as `/config` (for Home Assistant's add-on, "
        "`/addon_configs/..._frigate`)."
    )
    how = (
        "what it holds under classification, custom comes beside what is there"
        if made.form == CLASSIFICATION
        else "its detectors, model and objects take the place of those that are there"
    )
    second = (
        f"2. **Merge** `config.yml` into Frigate's own `config.yml`: {how}; cameras, mqtt and all "
        "else stay."
    )
    third = f"3. **Restart** Frigate. {_proof(made, detector)}"
    parts = [
        f"# {name} for Frigate\n",
        f"{_what(made, detector)}\n",
        first,
        second,
        third + "\n",
    ]
    if notes:
        parts += ["To know:\n", *(f"- {note}" for note in notes), ""]
    return "\n".join(parts)


def _what(made: Fit, detector: str) -> str:
    size = f"{made.width}x{made.height}"
    if made.form == CLASSIFICATION:
        return f"A classifier of {size} for Frigate's custom classification (Frigate 0.17)."
    return f"A detector ({made.form}, {size}) for Frigate's {detector} detector."


def _proof(made: Fit, detector: str) -> str:
    if made.form == CLASSIFICATION:
        return "What it finds stands as sub label beside each object on the page Explore."
    if detector == "edgetpu":
        return (
            'Its log says "TPU found"; where it says "No EdgeTPU was detected", `atoll doctor` on '
            "the host tells why."
        )
    return "The page System shows how long a detection takes."


def _listed(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)
