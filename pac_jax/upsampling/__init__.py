"""Joint upsampling of what people have: arrays or files of any size, with holes, by any factor.

- `api.py`: the function `upsample`
- `given.py`: what the caller gave, checked, in one form; and the result in the caller's
- `holes.py`: fills unknown pixels of the coarse target along the edges of the image
- `networks.py`: which networks can be had for a kind, by factor
- `composition.py`: which of them, one after another, lead from the target's size to the guide's
- `image.py`: one image through that chain
- `tiles.py`: where an image is cut when memory asks for it
- `network.py`: one network on one image, tile by tile
- `memory.py`: returns what compiling took
- `resizing.py`: samples images between their pixels
"""

from pac_jax.upsampling.api import upsample

__all__ = ["upsample"]
