"""The command `pac-jax`.

Whatever goes wrong is one line on standard error that says what and what helps, and exit code 2;
Ctrl-C is exit code 130. Files are written whole or not at all.
"""

from pac_jax.cli.main import main

__all__ = ["main"]
