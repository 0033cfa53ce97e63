"""Imported by every Python that starts with this folder on its path: no connection leaves this machine.

Each attempt is written down, and refused. An audit hook cannot be taken away again by the program that it watches.
"""

import os
import sys

_LOG = os.environ.get("FEDLEARN_NETWORK_LOG")
_LOCAL_NAMES = {"localhost", "localhost.localdomain", "::1", "", "0.0.0.0", "::"}
_CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")  # (socket, address)
_NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")  # (host, …)


def _is_local(host: str) -> bool:
    return host.lower() in _LOCAL_NAMES or host.startswith("127.")


def _is_number(host: str) -> bool:
    """Return whether no server has to be asked for a host's address."""
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refuse(event: str, arguments: tuple) -> None:
    if event in _CONNECTIONS:
        address = arguments[1]
        if not isinstance(address, tuple) or _is_local(str(address[0])):  # other addresses are in the file system
            return
        target = f"{address[0]}:{address[1]}"
    elif event in _NAMES:
        host = arguments[0]
        target = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
        if _is_local(target) or _is_number(target):
            return
    else:
        return
    assert _LOG is not None, "nothing is watched without a log"
    with open(_LOG, "a", encoding="utf-8") as log:
        log.write(target + "\n")
    raise PermissionError(f"there is no network here, and this asked for {target}")


if _LOG:
    sys.addaudithook(_refuse)
