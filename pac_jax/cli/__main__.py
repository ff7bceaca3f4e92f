"""`python -m pac_jax.cli` is `pac-jax`, where scripts are not on the path."""

import sys

from pac_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
