"""Who listens on the ports of this machine."""

import http.client
import socket
import ssl
from pathlib import Path


def is_healthy(port: int, certificates: Path | None = None, *, host: str = "127.0.0.1") -> bool:
    """Return whether a SuperLink answers.

    Args:
        port: its port.
        certificates: file with the certificate of the authority that it is checked against; None for plain text.
        host: its machine; by default this one.
    """
    connection = http.client.HTTPConnection(host, port, timeout=1)
    if certificates is not None:
        context = ssl.create_default_context(cafile=str(certificates))
        connection = http.client.HTTPSConnection(host, port, timeout=1, context=context)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def is_free(port: int) -> bool:
    """Return whether a program could listen on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
