"""Two small ICC profiles made by rule, so that no profile of anyone else's is needed."""

import struct

import numpy as np

D50 = (0.9642, 1.0, 0.8249)

# Display P3's primaries, adapted to D50 (columns red, green, blue; rows X, Y, Z).
P3_TO_XYZ = np.array(
    [
        [0.515102, 0.291965, 0.157153],
        [0.241182, 0.692236, 0.066582],
        [-0.001049, 0.041881, 0.784378],
    ]
)

# The sRGB primaries, adapted to D50.
SRGB_TO_XYZ = np.array(
    [
        [0.436075, 0.385065, 0.143080],
        [0.222504, 0.716879, 0.060617],
        [0.013932, 0.097105, 0.714173],
    ]
)


def display_p3() -> bytes:
    """Display P3: its three primaries and sRGB's transfer curve."""
    curve = b"para" + struct.pack(">IHH", 0, 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = {b"wtpt": _xyz(D50), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), P3_TO_XYZ.T):
        tags[name] = _xyz(column)
    return _profile(b"mntr", b"RGB ", b"XYZ ", "Display P3 by rule", tags)


def plain_cmyk() -> bytes:
    """Ideal inks: red is (1 − C)(1 − K) of sRGB, and so on; as a table of 9 steps an ink to Lab."""
    steps = np.linspace(0, 1, 9)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    rgb = np.stack([(1 - ink) * (1 - k) for ink in (c, m, y)], axis=-1).reshape(-1, 3)
    lab = _lab(srgb_to_linear(rgb) @ SRGB_TO_XYZ.T)
    table = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=-1)
    ramp = struct.pack(">HH", 0, 65535)
    lut = b"mft2" + struct.pack(">IBBBB", 0, 4, 3, 9, 0) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += struct.pack(">HH", 2, 2) + ramp * 4
    lut += np.clip(np.rint(table), 0, 65535).astype(">u2").tobytes() + ramp * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", "Ideal inks by rule", {b"wtpt": _xyz(D50), b"A2B0": lut})


def srgb_to_linear(value):
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value):
    value = np.clip(value, 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def _lab(xyz):
    ratio = xyz / np.array(D50)
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


def _fixed(*numbers) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _xyz(triple) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*triple)


def _profile(kind: bytes, colours: bytes, connection: bytes, name: str, tags: dict) -> bytes:
    """An ICC version 2.4 profile."""
    text = name.encode("ascii") + b"\0"
    tags = {
        b"desc": b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        **tags,
    }
    offset = 132 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        index += tag + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", offset + len(body), bytes(4), 0x02400000, kind, colours, connection)
    header += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(*D50)
    return header.ljust(128, b"\0") + index + body
