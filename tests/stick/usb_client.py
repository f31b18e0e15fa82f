"""What pyusb, which declares libusb's interface by itself, finds and does. Prints JSON."""

import json

import usb.backend.libusb1
import usb.core
import usb.util

POWER, DIVIDED = 0x1A318, 0x10850410


def looked_at(device):
    """What a stick says of itself, and what its registers and boot loader answer."""
    (configuration,) = device
    (interface,) = configuration
    ends = [(e.bEndpointAddress, e.bmAttributes & 3, e.wMaxPacketSize) for e in interface]
    device.set_configuration()
    usb.util.claim_interface(device, 0)
    found = {
        "ids": [device.idVendor, device.idProduct],
        "speed": device.speed,
        "ports": list(device.port_numbers),
        "class": [interface.bInterfaceClass, interface.bInterfaceSubClass],
        "endpoints": ends,
        "raw": bytes(device.ctrl_transfer(0x80, 6, 0x100, 0, 18)).hex(),
    }
    if device.idProduct == 0x9302:
        low, high = POWER & 0xFFFF, POWER >> 16
        device.ctrl_transfer(0x40, 1, low, high, DIVIDED.to_bytes(4, "little"))
        found["register"] = int.from_bytes(device.ctrl_transfer(0xC0, 1, low, high, 4), "little")
        found["credits"] = int.from_bytes(device.ctrl_transfer(0xC0, 0, 0xC150, 4, 8), "little")
        for name, action in (
            ("write", lambda: device.write(1, bytes(8))),
            ("read", lambda: device.read(0x82, 16, timeout=30)),
        ):
            try:
                action()
            except usb.core.USBError as error:
                found[name] = error.backend_error_code
    else:
        found["status"] = list(device.ctrl_transfer(0xA1, 3, 0, 0, 6))
    return found


if __name__ == "__main__":
    # By itself pyusb looks in the places of libraries that the system knows.
    backend = usb.backend.libusb1.get_backend(find_library=lambda _name: "libusb-1.0.so.0")
    devices = usb.core.find(find_all=True, backend=backend)
    print(json.dumps([looked_at(device) for device in devices]))
