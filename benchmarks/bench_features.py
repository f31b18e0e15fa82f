"""Where the frozen part of a network runs fastest on a CPU: Keras, TensorFlow, or LiteRT."""

import sys
import time

import numpy as np
from facts import SHARED, write

from atoll.framework import keras, tensorflow
from atoll.train.features import BATCH, Extractor
from atoll.train.transfer import from_tflite

SOURCE = SHARED / "models/v10/mobilenet_v2_1.0_224_quant.tflite"
PHOTOS, ROUNDS = 128, 5


def main():
    if not SOURCE.exists():
        print(f"skipped: {SOURCE} is not there", file=sys.stderr)
        return
    transfer = from_tflite(SOURCE)
    model = keras().Model(transfer.model.input, [transfer.model.output])
    pixels = np.random.default_rng(0).integers(0, 256, (PHOTOS, 224, 224, 3), dtype=np.uint8)
    normalize = transfer.preprocessing.normalize
    compiled = tensorflow().function(lambda images: model(images, training=False))
    began = time.perf_counter()
    extractor = Extractor(model, transfer.preprocessing)
    conversion = time.perf_counter() - began
    starts = range(0, PHOTOS, 32)
    ways = {
        "keras predict": lambda: model.predict(normalize(pixels), batch_size=32, verbose=0),
        "tensorflow function": lambda: [compiled(normalize(pixels[i : i + 32])) for i in starts],
        "litert": lambda: [extractor(pixels[i : i + BATCH]) for i in range(0, PHOTOS, BATCH)],
    }
    for run in ways.values():
        run()
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, run in ways.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    litert = np.median(seconds["litert"])
    write(
        "features",
        [
            {
                "who": name,
                "ms_a_photo": round(1000 * float(np.median(times)) / PHOTOS, 3),
                "ratio_to_litert": round(float(np.median(times) / litert), 2),
                "conversion_s": round(conversion, 2) if name == "litert" else 0,
            }
            for name, times in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
