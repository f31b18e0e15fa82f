"""Report documents as a real run writes them, from random predictions through the real metrics."""

import numpy as np

from atoll.evaluate.metrics import classification, disagreement

ANIMALS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 7 }}{% raw %}",
    "</title></style><h1>owned",
    "\u202egnp.exe",
    "naïve Löwe 🦁 日本語 العربية",
    "a" * 300,
    "nul\x00bell\x07line\r\nbreak",
    "undecodable \udcff name",
    "&lt;already&amp;escaped&gt;",
    "javascript:alert(3)",
    "' onmouseover='alert(4)",
]


def document(classes, *, images=153, seed=0, margin=0.93, path="photos/ants_bees", **changes):
    """A whole document, and the pictures that belong to it."""
    rng = np.random.default_rng(seed)
    known = len(classes)
    labels = np.sort(rng.integers(0, known, images))
    logits = rng.normal(0, 1, (images, known))
    logits[np.arange(images), labels] += 1.2 * np.sqrt(np.log(known) + 1) + 2.5 * margin
    # Neighbouring classes are the ones that get confused.
    logits[np.arange(images), (labels + 1) % known] += 1.0
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    eight_bit = np.rint(np.clip(exact + rng.normal(0, 0.04, exact.shape), 0, 1) * 255) / 255
    simulated = eight_bit.copy()
    evaluated = [
        {"model": file, "device": device, "kind": kind}
        | classification(scores.astype(np.float32), labels, classes)
        | {"mean_ms": ms}
        for file, device, kind, scores, ms in (
            ("model.keras", "tensorflow", "float", exact, 11.84),
            ("model_quant.tflite", "cpu", "int8", eight_bit, 3.07),
            ("model_quant_sim.tflite", "sim", "sim", simulated, 41.2),
        )
    ]
    predicted = eight_bit.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)[:24]
    mistakes = [
        {
            "path": f"test/{classes[labels[i]]}/{i:04d}.jpg",
            "label": classes[labels[i]],
            "predicted": classes[predicted[i]],
            "score": float(eight_bit[i].max()),
            "picture": str(i),
        }
        for i in wrong
    ]
    per_class = {
        label: {"train": int(n) * 5, "val": int(n), "test": int(n)}
        for label, n in zip(classes, np.bincount(labels, minlength=known), strict=True)
    }
    photos = {s: sum(row[s] for row in per_class.values()) for s in ("train", "val", "test")}
    passes = (("head", 22, 0.4), ("tail", 9, 0.05))
    epochs = [
        {
            "phase": phase,
            "epoch": epoch + 1,
            "loss": 0.38 + drop * np.exp(-epoch / 4) + rng.normal(0, 0.004),
            "accuracy": min(1, 0.975 - drop * 0.6 * np.exp(-epoch / 3) + rng.normal(0, 0.004)),
            "val_loss": 0.42 + drop * np.exp(-epoch / 5) + rng.normal(0, 0.006),
            "val_accuracy": 0.957 - drop * 0.6 * np.exp(-epoch / 4) + rng.normal(0, 0.006),
            "seconds": 1.3,
        }
        for phase, count, drop in passes
        for epoch in range(count)
    ]
    kinds = ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    ops = [
        {
            "index": i,
            "type": kinds[i % 3] if i < 63 else kinds[i - 60],
            "name": f"mobilenetv2/block_{i // 4}/{i % 4}",
            "target": "tpu",
            "status": "Mapped to Edge TPU",
            "reason": "",
            "fix": "",
        }
        for i in range(66)
    ]
    made = {
        "atoll": "0.1.0",
        "dataset": {
            "path": path,
            "source": "folder",
            "classes": list(classes),
            "photos": photos,
            "per_class": per_class,
            "skipped": [
                {"path": "train/broken.jpg", "reason": "not a photo that can be decoded"},
                {"path": "train/notes.txt", "reason": "not a photo"},
                {"path": "val/copy.jpg", "reason": "the same photo as train/0012.jpg"},
            ],
            "warnings": [],
            "note": "train and val are the data set's own folders; test was split off train.",
            "fingerprint": "9f2c41d07be3",
        },
        "model": {
            "backbone": "mobilenet_v2",
            "alpha": 1.0,
            "width": 224,
            "height": 224,
            "weights": "ImageNet weights published with Keras",
            "parameters": 2_260_546,
            "edgetpu": "every operator of this backbone maps",
        },
        "preprocessing": {
            "width": 224,
            "height": 224,
            "mean": [127.5, 127.5, 127.5],
            "std": [127.5, 127.5, 127.5],
            "channel_order": "rgb",
            "resize": "stretch",
        },
        "settings": {
            "epochs": 40,
            "tail_epochs": 10,
            "learning_rate": 0.001,
            "batch_size": 32,
            "label_smoothing": 0.1,
            "dropout": 0.2,
            "augment": "photo",
            "seed": 0,
        },
        "training": {
            "passes": [
                {"name": "head", "epochs": 22, "best_epoch": 18, "seconds": 28.4},
                {"name": "tail", "epochs": 9, "best_epoch": 7, "seconds": 41.9},
            ],
            "epochs": epochs,
        },
        "quantization": {
            "calibration_photos": 200,
            "input": {"dtype": "uint8", "scale": 0.0078125, "zero_point": 128},
            "output": {"dtype": "uint8", "scale": 0.00390625, "zero_point": 0},
        },
        "compile": {
            "backend": "sim",
            "ops_total": 66,
            "ops_tpu": 66,
            "ops_cpu": 0,
            "subgraphs": 1,
            "ops": ops,
        },
        "evaluation": {
            "split": "test",
            "models": evaluated,
            "quantization_cost": disagreement(exact, eight_bit, labels),
            "simulator_cost": disagreement(eight_bit, simulated, labels),
        },
        "mistakes": mistakes,
        "files": [
            {"name": "model_quant.tflite", "bytes": 2_688_416, "what": "the 8-bit model"},
            {"name": "model.keras", "bytes": 9_412_003, "what": "the trained network, in float"},
            {"name": "labels.txt", "bytes": 10, "what": "the class names"},
        ],
        "next": [
            {
                "command": "atoll classify run/model_quant.tflite photo.jpg",
                "what": "Run it on a photo",
            },
            {
                "command": "atoll serve run/model_quant.tflite --port 8080",
                "what": "Serve it over HTTP",
            },
        ],
        "seconds": {"data": 3.1, "features": 96.4, "training": 70.3, "total": 251.7},
    }
    pictures = {str(i): gradient(rng, 300, 400) for i in wrong}
    return made | changes, pictures


def gradient(rng, height, width):
    """A picture that is cheap to make and to compress: uint8 (height, width, 3)."""
    corner, y, x = rng.integers(60, 200, 3), np.arange(height), np.arange(width)
    ramp = (40 * np.sin(y[:, None] / 40) + 40 * np.cos(x[None] / 30))[..., None]
    return np.clip(corner + ramp, 0, 255).astype(np.uint8)
