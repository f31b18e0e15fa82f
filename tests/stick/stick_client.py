"""A program as users write them: LiteRT, a compiled model, and the driver as its delegate.

Run as `stick_client.py DRIVER DEVICE CALLS COMPILED TWIN [COMPILED TWIN...]`, it calls the models
in turn, and prints a line of JSON a call: whether all outputs are those of the twin in LiteRT.
DEVICE may have the driver's options behind it: `usb:0,Performance=Low`.
"""

import json
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType, load_delegate

# Some old files run on LiteRT's own kernels alone.
KERNELS = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def opened(path, delegates=(), kernels=KERNELS):
    """An interpreter that is ready, and its kernels."""
    for kind in kernels:
        try:
            interpreter = Interpreter(
                path, experimental_delegates=[*delegates], experimental_op_resolver_type=kind
            )
            interpreter.allocate_tensors()
        except RuntimeError as error:
            failure = error
        else:
            return interpreter, kind
    raise failure


def feed(interpreters, rng):
    """The same random numbers for the inputs of the same names."""
    first, *others = (
        {detail["name"]: detail for detail in each.get_input_details()} for each in interpreters
    )
    for name, detail in first.items():
        numbers = rng.integers(0, 256, detail["shape"]).astype(np.uint8)
        eight_bit = detail["dtype"] in (np.uint8, np.int8)
        array = (
            numbers.view(detail["dtype"]) if eight_bit else (numbers / 255).astype(detail["dtype"])
        )
        for interpreter, details in zip(interpreters, (first, *others), strict=True):
            interpreter.set_tensor(details[name]["index"], array)


def outputs(interpreter):
    """The outputs by name."""
    return {d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}


def options_of(device):
    """The driver's options."""
    name, *others = device.split(",")
    return {"device": name} | dict(each.split("=") for each in others)


def main(driver, device, calls, *paths):
    """Runs all models, so many times."""
    delegate = load_delegate(driver, options_of(device))
    models = []
    for compiled, twin in zip(paths[::2], paths[1::2], strict=True):
        chip, kernels = opened(compiled, [delegate])
        models.append((compiled, chip, opened(twin, kernels=[kernels])[0]))
    print(json.dumps({"ready": True}), flush=True)
    rng = np.random.default_rng(0)
    for _ in range(int(calls)):
        for compiled, chip, twin in models:
            feed([chip, twin], rng)
            began = time.perf_counter()
            chip.invoke()
            took = time.perf_counter() - began
            twin.invoke()
            ours, theirs = outputs(chip), outputs(twin)
            equal = all(np.array_equal(ours[name], theirs[name]) for name in theirs)
            line = {"model": compiled, "equal": equal, "ms": took * 1e3}
            print(json.dumps(line), flush=True)
    del models, chip, twin
    del delegate
    print(json.dumps({"closed": True}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
