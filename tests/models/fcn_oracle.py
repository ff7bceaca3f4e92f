"""FCN-8s in PyTorch's functions, written from the description: the oracle beside the goldens."""

import numpy as np


def checkpoint_arrays(classes=3, features=(4, 5, 6, 7, 8), hidden=9, seed=0):
    """Small arrays under the original's names, no kernel symmetric."""
    random = np.random.default_rng(seed)
    shapes, inputs = {}, 3
    for block, (count, outputs) in enumerate(zip((2, 2, 3, 3, 3), features, strict=True), 1):
        for number in range(1, count + 1):
            shapes[f"conv{block}_{number}"] = (outputs, inputs, 3, 3)
            inputs = outputs
    shapes |= {"fc6": (hidden, inputs, 7, 7), "fc7": (hidden, hidden, 1, 1)}
    shapes |= {"score_fr": (classes, hidden, 1, 1)}
    shapes |= {"score_pool3": (classes, features[2], 1, 1)}
    shapes |= {"score_pool4": (classes, features[3], 1, 1)}
    arrays = {}
    for name, shape in shapes.items():
        deviation = np.sqrt(2 / np.prod(shape[1:]))
        arrays[f"{name}.weight"] = (deviation * random.normal(size=shape)).astype(np.float32)
        arrays[f"{name}.bias"] = random.normal(size=shape[0]).astype(np.float32)
    for name, window in (("upscore2", 4), ("upscore8", 16), ("upscore_pool4", 4)):
        shape = (classes, classes, window, window)
        arrays[f"{name}.weight"] = random.normal(size=shape).astype(np.float32)
    return arrays


def crf_arrays(classes, sets=("",), seed=1):
    """A term of window 5, 4d, and one of window 3, 2d without a spatial filter; feature scales."""
    random = np.random.default_rng(seed)
    arrays = {}
    for prefix in sets:
        shapes = {
            "unary_weight": (),
            "messengers.0.weight": (classes, classes, 5, 5),
            "messengers.1.weight": (1, 1, 3, 3),
            "compat.1.weight": (classes, classes, 1, 1),
            "pairwise_weights.0": (),
            "pairwise_weights.1": (),
        }
        for name, shape in shapes.items():
            values = np.asarray(random.normal(size=shape), np.float32)
            arrays[f"crf.{prefix}{name}"] = values
    for number in (0, 1):
        arrays[f"feat_scales.{number}"] = random.uniform(20, 40, 3).astype(np.float32)
    return arrays


def scores(torch, arrays, image, padding):
    """The scores of one image (H, W, 3), for an ordinary padding of whole multiples of 32 alone."""
    functional = torch.nn.functional
    original = padding == "original"
    weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}

    def conv(name, x, border):
        return functional.conv2d(
            x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=border
        )

    def up(name, x, stride, trimmed):
        border = 0 if original else trimmed
        return functional.conv_transpose2d(
            x, weights[f"{name}.weight"], stride=stride, padding=border
        )

    def added(coarse, fine, start):
        height, width = coarse.shape[2:]
        start = start if original else 0
        return coarse + fine[:, :, start : start + height, start : start + width]

    x = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
    size, pooled = x.shape[2:], {}
    for block, count in enumerate((2, 2, 3, 3, 3), 1):
        for number in range(1, count + 1):
            first = block == number == 1
            x = torch.relu(conv(f"conv{block}_{number}", x, 100 if original and first else 1))
        x = pooled[block] = functional.max_pool2d(x, 2, 2, ceil_mode=True)
    x = torch.relu(conv("fc6", x, 0 if original else 3))
    x = torch.relu(conv("fc7", x, 0))
    x = up("upscore2", conv("score_fr", x, 0), 2, 1)
    x = added(x, conv("score_pool4", pooled[4], 0), 5)
    x = up("upscore_pool4", x, 2, 1)
    x = added(x, conv("score_pool3", pooled[3], 0), 9)
    x = up("upscore8", x, 8, 4)
    start = 31 if original else 0
    x = x[0, :, start : start + size[0], start : start + size[1]]
    return x.numpy().transpose(1, 2, 0)
