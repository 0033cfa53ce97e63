"""A federation of programs that talk over the network: keys, a SuperLink, SuperNodes, and runs on them."""

from fedlearn_helpers.deployment.app_bundle import AppBundle, build_app, changed_lines, read_app
from fedlearn_helpers.deployment.approval import Approvals
from fedlearn_helpers.deployment.credential_checks import check_credentials, fingerprint
from fedlearn_helpers.deployment.credentials import Credentials, make_credentials, make_node_key
from fedlearn_helpers.deployment.deployment import Deployment
from fedlearn_helpers.deployment.exchange import Exchange
from fedlearn_helpers.deployment.hospital import Hospital
from fedlearn_helpers.deployment.listings import ListedNode, ListedRun, RunStatus
from fedlearn_helpers.deployment.outgoing import SentReply
from fedlearn_helpers.deployment.possible import find_app, why_not
from fedlearn_helpers.deployment.programs import Node, Refusal
from fedlearn_helpers.deployment.ray_run import run_on_ray

__all__ = [
    "AppBundle",
    "Approvals",
    "Credentials",
    "Deployment",
    "Exchange",
    "Hospital",
    "ListedNode",
    "ListedRun",
    "Node",
    "Refusal",
    "RunStatus",
    "SentReply",
    "build_app",
    "changed_lines",
    "check_credentials",
    "find_app",
    "fingerprint",
    "make_credentials",
    "make_node_key",
    "read_app",
    "run_on_ray",
    "why_not",
]
