"""A federation on several machines: what each of them gets, and what is typed there."""

import os
import shutil
from pathlib import Path

from fedlearn_helpers.deployment import Credentials, make_credentials
from fedlearn_helpers.deployment.credentials import public_key_of
from fedlearn_helpers.errors import check_whole_number

PORT = 8000

_SERVER = """\
On the server, with the folder `server`, and this in each terminal:

    export FLWR_HOME="$PWD/flower_home" FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1
    mkdir -p "$FLWR_HOME"

In the first terminal (whoever reaches this port can register nodes and start runs: let your nodes alone reach it):

    flower-superlink --host 0.0.0.0 --port {port} --ssl-ca-certfile server/ca.crt --ssl-certfile server/server.pem \
--ssl-keyfile server/server.key --enable-supernode-auth --disable-runtime-dependency-installation --database state.db

In the second, tell the server which nodes may come:

    printf '[superlink]\\ndefault = "federation"\\n\\n[superlink.federation]\\naddress = "127.0.0.1:{port}"\\n\
root-certificates = "%s/server/ca.crt"\\n' "$PWD" > "$FLWR_HOME/config.toml"
{registrations}
"""
_NODE = """
On the machine of node {node}, with the folder `node{node}`:

    export FLWR_HOME="$PWD/flower_home" FLWR_TELEMETRY_ENABLED=0 FLWR_DISABLE_UPDATE_CHECK=1 \
FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1
    flower-supernode --superlink {server}:{port} --root-certificates node{node}/ca.crt \
--auth-supernode-private-key node{node}/node{node} --node-config "partition-id={node} num-partitions={num_nodes}"
"""
_RUN = """
On the server again, in the second terminal, once the list says online {num_nodes} times:

    flwr supernode list
    flwr run flower_app federation --stream --run-config "num-server-rounds=3"
    flwr ls
"""


def write_machines(folder: Path, *, server: str, num_nodes: int, days: int = 30) -> str:
    """Write one folder for each machine, readable by their owner alone, and what is to be done with them.

    Args:
        folder: new or empty. `server` and `node0`, `node1`, … in it are for one machine each.
        server: name or address by which the nodes reach the server.
        num_nodes: number of nodes, >= 1.
        days: how long the certificates count, >= 1.

    Returns:
        The instructions, which also stand in README.txt in the folder.

    Raises:
        InputError: a value that cannot work, or a folder with something in it.
    """
    num_nodes = check_whole_number("nodes", num_nodes, 1)
    credentials = make_credentials(folder, num_nodes, hosts=[server], days=days)
    _sort_by_machine(credentials)
    registrations = "\n".join(f"    flwr supernode register server/node{node}.pub" for node in range(num_nodes))
    nodes = [_NODE.format(node=node, server=server, port=PORT, num_nodes=num_nodes) for node in range(num_nodes)]
    text = _SERVER.format(port=PORT, registrations=registrations) + "".join(nodes) + _RUN.format(num_nodes=num_nodes)
    (Path(folder) / "README.txt").write_text(text)
    return text


def _sort_by_machine(credentials: Credentials) -> None:
    """Move every file to the machine that it is for; all of them have the authority's certificate."""
    folder = credentials.ca.parent
    server = folder / "server"
    server.mkdir(mode=0o700)
    for path in (credentials.certificate, credentials.key):
        os.replace(path, server / path.name)
    shutil.copy(credentials.ca, server)
    for key in credentials.nodes:
        machine = folder / "machine"  # its name is still that of the key
        machine.mkdir(mode=0o700)
        shutil.copy(credentials.ca, machine)
        os.replace(public_key_of(key), server / public_key_of(key).name)
        os.replace(key, machine / key.name)
        os.replace(machine, folder / key.name)
    credentials.ca.unlink()
