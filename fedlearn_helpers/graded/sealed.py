"""Functions of the package that are also solutions: an edition for graded work has them packed.

Whoever wants to can unpack them. Packed, they are not read by accident, and no search finds them.
"""

import base64
import zlib
from typing import Any


def seal(source: str) -> str:
    """Pack the source of a definition."""
    return base64.b85encode(zlib.compress(source.encode(), 9)).decode()


def unseal(sealed: str, namespace: dict[str, Any]) -> None:
    """Make the definition in a module's namespace."""
    exec(zlib.decompress(base64.b85decode(sealed)).decode(), namespace)
