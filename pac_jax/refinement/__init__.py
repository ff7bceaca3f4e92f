"""Label maps that follow the image: class scores of any network, refined without training.

- `api.py`: the function `refine`
- `given.py`: what the caller gave, checked, in one form
- `terms.py`: the CRF's terms that ship
- `resizing.py`: coarse scores to the size of the image
- `inference.py`: the compiled program
"""

from pac_jax.refinement.api import refine

__all__ = ["refine"]
