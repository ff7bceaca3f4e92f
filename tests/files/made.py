"""Files made byte by byte from their formats' definitions, without the libraries under test."""

import struct
import zlib

import numpy as np

GREY, COLORS, PALETTE, GREY_ALPHA, COLORS_ALPHA = 0, 2, 3, 4, 6


def png(values: np.ndarray, bits: int = 8, color: int = GREY, palette: bytes = b"") -> bytes:
    """Values (H, W) or (H, W, C), each below 2**bits; no row filter, one chunk of pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    height, width = values.shape[:2]
    rows = b""
    for row in values.reshape(height, -1):
        digits = "".join(format(int(value), f"0{bits}b") for value in row)
        digits += "0" * (-len(digits) % 8)
        rows += b"\0" + int(digits, 2).to_bytes(len(digits) // 8, "big")
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    plte = chunk(b"PLTE", palette) if palette else b""
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + plte + pixels + chunk(b"IEND", b"")


def flo(flow: np.ndarray) -> bytes:
    """Flow (H, W, 2)."""
    height, width, _ = flow.shape
    content = struct.pack("<fii", 202021.25, width, height)
    for v in range(height):
        for u in range(width):
            content += struct.pack("<ff", *flow[v, u])
    return content


def pfm(values: np.ndarray, order: str = "<") -> bytes:
    """Values (H, W) or (H, W, 3); order "<" for little endian or ">" for big."""
    height, width = values.shape[:2]
    identifier = "Pf" if values.ndim == 2 else "PF"
    scale = {"<": "-0.003922", ">": "2.5"}[order]
    content = f"{identifier}\n{width} {height}\n{scale}\n".encode()
    for row in range(height - 1, -1, -1):
        line = values[row].ravel()
        content += struct.pack(f"{order}{line.size}f", *line)
    return content


def exr(channels: dict[str, np.ndarray]) -> bytes:
    """Channels (H, W) of float16 or float32, in uncompressed scan lines."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    height, width = next(iter(channels.values())).shape
    names = sorted(channels)
    listed = b""
    for name in names:
        kind = {2: 1, 4: 2}[channels[name].dtype.itemsize]
        listed += name.encode() + b"\0" + struct.pack("<iBBBBii", kind, 0, 0, 0, 0, 1, 1)
    box = struct.pack("<iiii", 0, 0, width - 1, height - 1)
    content = struct.pack("<ii", 20000630, 2)
    content += attribute("channels", "chlist", listed + b"\0")
    content += attribute("compression", "compression", b"\0")
    content += attribute("dataWindow", "box2i", box)
    content += attribute("displayWindow", "box2i", box)
    content += attribute("lineOrder", "lineOrder", b"\0")
    content += attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    content += attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0))
    content += attribute("screenWindowWidth", "float", struct.pack("<f", 1))
    content += b"\0"
    lines = [b"".join(channels[name][y].tobytes() for name in names) for y in range(height)]
    position = len(content) + 8 * height
    table, body = b"", b""
    for y, line in enumerate(lines):
        table += struct.pack("<Q", position + len(body))
        body += struct.pack("<ii", y, len(line)) + line
    return content + table + body


def tiff(values: np.ndarray) -> bytes:
    """One uncompressed strip of uint16 or float32, (H, W), little endian."""
    height, width = values.shape
    pixels = values.tobytes()
    sample_format = 3 if values.dtype.kind == "f" else 1
    entries = [
        (256, width),
        (257, height),
        (258, 8 * values.dtype.itemsize),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, len(pixels)),
        (339, sample_format),
    ]
    directory = struct.pack("<H", len(entries))
    for tag, value in entries:
        directory += struct.pack("<HHII", tag, 4, 1, value)
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + directory + bytes(4)
