"""Targets as colours: depth by a scale, flow by a wheel."""

import colorsys

import numpy as np

# Dark blue, teal, green, yellow, near white: rising in lightness, so it also reads in grey.
_STOPS = np.array(
    [[24, 16, 64], [33, 64, 140], [26, 122, 150], [72, 176, 104], [222, 212, 66], [255, 250, 222]]
)
_WHEEL = np.array([colorsys.hsv_to_rgb(hue, 1, 1) for hue in np.linspace(0, 1, 37)])


def colour_map(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colours for values (H, W) in low ... high: (H, W, 3) uint8."""
    position = np.clip((values - low) / (high - low or 1), 0, 1) * (len(_STOPS) - 1)
    stops = np.arange(len(_STOPS))
    channels = [np.interp(position, stops, _STOPS[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def flow_colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Colours for motion (H, W, 2): the hue is its direction, white is rest; (H, W, 3) uint8."""
    angle = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1
    strength = np.clip(np.hypot(flow[..., 0], flow[..., 1]) / (longest or 1), 0, 1)[..., None]
    hues = np.linspace(0, 1, len(_WHEEL))
    colour = np.stack([np.interp(angle, hues, _WHEEL[:, c]) for c in range(3)], axis=-1)
    return (255 * (1 - strength * (1 - colour))).round().astype(np.uint8)


class Palette:
    """Colours that show all versions of one target alike.

    Args:
        target: (H, W, C) the truth, of 1 (depth) or 2 (flow) channels.
        valid: (H, W) booleans, where it is known; everywhere if None.
    """

    def __init__(self, target: np.ndarray, valid: np.ndarray | None = None):
        known = target.reshape(-1, target.shape[-1]) if valid is None else target[valid]
        self._is_flow = target.shape[-1] == 2
        if self._is_flow:
            self._longest = float(np.percentile(np.hypot(known[:, 0], known[:, 1]), 99))
        else:
            self._low, self._high = np.percentile(known, [0.5, 99.5])

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Colours (H, W, 3) uint8 for values (H, W, C)."""
        if self._is_flow:
            return flow_colours(values, self._longest)
        return colour_map(values[..., 0], self._low, self._high)
