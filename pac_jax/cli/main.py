"""Chooses the subcommand, and turns every failure into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from pac_jax.cli.parser import build_parser

__all__ = ["main"]

_WRONG_INPUT, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: without the command's own name; those of the process if None.

    Returns:
        The exit code: 0, or 2 where input is wrong, or 130 after Ctrl-C.
    """
    try:
        options = build_parser().parse_args(arguments)
        # Imported here, so that help and mistakes in the options do not wait for JAX.
        return import_module(f"pac_jax.cli.{options.command}").run(options)
    except KeyboardInterrupt:
        print("pac-jax: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        print(f"pac-jax: {line}", file=sys.stderr)
        return _WRONG_INPUT


def explained(error: Exception) -> str | None:
    """The line for a failure that is no mistake of this program, or None for one that is."""
    if "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError):
        return (
            "out of memory; upsample --tile 512 computes smaller tiles, refine needs smaller images"
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    if isinstance(error, ValueError | TypeError | NotImplementedError | ImportError | OSError):
        return " ".join(str(error).split())
    return None
