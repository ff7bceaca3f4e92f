"""Keeps compiled programs between calls, in the user's cache folder."""

import hashlib
import os
import platform
import sys
from pathlib import Path

__all__ = ["keep_programs"]


def keep_programs() -> None:
    """Let JAX keep what it compiles, unless the user has named a folder for that already."""
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:  # JAX would warn in several lines, again and again
            print(f"pac-jax: compiled programs are not kept: {folder}: {error.strerror}",
                  file=sys.stderr)  # fmt: skip
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def cache_folder() -> Path:
    """A folder for programs of this processor: others may not be able to run them."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pac_jax" / hashlib.sha256(_processor().encode()).hexdigest()[:12]


def _processor() -> str:
    """What tells processors apart that share a home folder."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return "\n".join([platform.machine(), platform.processor(), *told])
