"""`atoll devices`: what is plugged in, and what a model can run on."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atoll.cli.console import print_json, print_table
from atoll.cli.options import AsJson

if TYPE_CHECKING:
    from atoll.host.found import Found
    from atoll.host.library import Library

_NONE = (
    "No Edge TPU is plugged in. Models run all the same: on sim, the Edge TPU in software, and on "
    "cpu.\nIf one should be there, atoll doctor tells what to look at."
)
_NOT_LOOKED = (
    "Whether an Edge TPU is plugged in, Atoll can tell on Linux alone. Name the device edgetpu,\n"
    "and the driver looks for one."
)


def devices(
    openvino: Annotated[
        bool, typer.Option("--openvino", help="Ask OpenVINO which devices it has: slower.")
    ] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List the Edge TPUs that are plugged in, and every name that a device can be given.

    Nothing is opened. What is wrong with a device, atoll doctor tells.
    """
    from atoll.host.found import found_devices
    from atoll.host.library import find_library
    from atoll.host.virtual import virtual_sticks

    found, virtual = found_devices(), virtual_sticks()
    rows = [*_edge_tpus(found, virtual), *_others(openvino)]
    if as_json:
        print_json({"devices": rows, "driver": _driver(find_library())})
        return
    print_table(
        ["device", "state", "what it is"],
        [[row["name"], row["state"], row["what"]] for row in rows],
        words={0, 1, 2},
    )
    if not found and not virtual:
        typer.echo(f"\n{_NONE if sys.platform == 'linux' else _NOT_LOOKED}")
    elif not virtual:
        _remarks(found, find_library())


def _edge_tpus(found: list[Found], virtual: int) -> list[dict[str, Any]]:
    """A row for each Edge TPU; virtual sticks stand in the place of all real ones on USB."""
    from atoll.host.found import describe

    rows = [
        _row(device.name, f"Edge TPU on {describe(device)}", _state(device), device)
        for device in found
        if not (virtual and device.name.startswith("usb"))
    ]
    rows += [
        _row(f"usb:{index}", "a virtual stick (atoll stick)", "usable") for index in range(virtual)
    ]
    if rows or sys.platform != "linux":
        rows.append(_row("edgetpu", "the first Edge TPU that the driver finds", "usable"))
    return rows


def _others(ask_openvino: bool) -> list[dict[str, Any]]:
    from importlib.util import find_spec

    rows = [
        _row("sim", "the Edge TPU in software", "usable"),
        _row("cpu", "LiteRT on this machine's processor", "usable"),
    ]
    if find_spec("openvino") is None:
        return rows
    names = {"CPU": "OpenVINO on this machine's processor"}
    if ask_openvino:
        from openvino import Core

        core = Core()
        names = {n: str(core.get_property(n, "FULL_DEVICE_NAME")) for n in core.available_devices}
    rows += [_row(f"openvino:{name}", what, "usable") for name, what in names.items()]
    return rows


def _row(name: str, what: str, state: str, device: Found | None = None) -> dict[str, Any]:
    fields = dataclasses.fields(device) if device else ()
    facts = {field.name: _plain(getattr(device, field.name)) for field in fields}
    return {"name": name, "what": what, "state": state, "facts": facts}


def _state(device: Found) -> str:
    if device.usable:
        return "usable"
    return "no permission" if device.present else "no driver" if device.node is None else "no node"


def _remarks(found: list[Found], library: Library | None) -> None:
    if library is None:
        typer.echo("\nThe driver, libedgetpu, is not installed: atoll doctor tells how.")
    lost = [device.name for device in found if not device.usable]
    if lost:
        typer.echo(f"\n{', '.join(lost)} cannot be opened: atoll doctor tells why, and the cure.")


def _driver(library: Library | None) -> dict[str, Any] | None:
    if library is None:
        return None
    return {"path": str(library.path), "fits": library.fits, "throttled": library.throttled}


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, Path) else value
