"""The order in which libusb tells of the sticks, whatever state they are in."""

from __future__ import annotations

import ctypes as c
from typing import Any

from atoll.host.usb import IDS

# The one that the driver has loaded: the loader goes by this name, and not by a path.
_NAME = "libusb-1.0.so.0"
_IDS = {(int(vendor, 16), int(product, 16)) for vendor, product in IDS}
# A device lies behind seven hubs at most (USB 3).
_MOST_PORTS = 7


class _Descriptor(c.Structure):
    """struct libusb_device_descriptor (libusb.h)."""

    _fields_ = (
        ("length", c.c_uint8),
        ("type", c.c_uint8),
        ("usb", c.c_uint16),
        ("class_", c.c_uint8),
        ("subclass", c.c_uint8),
        ("protocol", c.c_uint8),
        ("packet", c.c_uint8),
        ("vendor", c.c_uint16),
        ("product", c.c_uint16),
        ("rest", c.c_uint8 * 6),
    )


def ports_in_order() -> list[str]:
    """Where the sticks are plugged in, such as "2-1.4", in the order of libusb's list.

    Returns:
        The ports; none where there is no libusb, or it cannot be asked.
    """
    try:
        usb = c.CDLL(_NAME)
        usb.libusb_get_device_list.restype = c.c_ssize_t
        context, listed = c.c_void_p(), c.POINTER(c.c_void_p)()
        if usb.libusb_init(c.byref(context)) != 0:
            return []
    except (OSError, AttributeError):
        return []
    try:
        count = usb.libusb_get_device_list(context, c.byref(listed))
        if count < 0:
            return []
        devices = [c.c_void_p(listed[i]) for i in range(count)]
        ports = [_port(usb, device) for device in devices if _is_stick(usb, device)]
        usb.libusb_free_device_list(listed, 1)
        return ports
    finally:
        usb.libusb_exit(context)


def _is_stick(usb: Any, device: c.c_void_p) -> bool:
    found = _Descriptor()
    usb.libusb_get_device_descriptor(device, c.byref(found))
    return (found.vendor, found.product) in _IDS


def _port(usb: Any, device: c.c_void_p) -> str:
    usb.libusb_get_bus_number.restype = c.c_uint8
    numbers = (c.c_uint8 * _MOST_PORTS)()
    count = max(usb.libusb_get_port_numbers(device, numbers, _MOST_PORTS), 0)
    return f"{usb.libusb_get_bus_number(device)}-{'.'.join(map(str, numbers[:count]))}"
