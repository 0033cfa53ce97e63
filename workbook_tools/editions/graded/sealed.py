"""Functions of the package that are also solutions: an edition for graded work has them packed.

Whoever wants to can unpack them. Packed, they are not read by accident, and no search finds them.
"""

import base64
import zlib


def seal(source: str) -> list[str]:
    """Return lines of code that make a definition in the module that they stand in, but do not show it."""
    packed = base64.b85encode(zlib.compress(source.encode(), 9)).decode()
    return [
        "import base64 as _base64  # noqa: E402\n",
        "import zlib as _zlib  # noqa: E402\n\n",
        f'exec(_zlib.decompress(_base64.b85decode("{packed}")).decode(), globals())\n',
    ]
