"""A federation of programs that talk over the network: keys, a SuperLink, SuperNodes, and runs on them."""

from fedlearn_helpers.deployment.credential_checks import check_credentials
from fedlearn_helpers.deployment.credentials import Credentials, make_credentials
from fedlearn_helpers.deployment.deployment import Deployment
from fedlearn_helpers.deployment.listings import ListedNode, ListedRun, RunStatus
from fedlearn_helpers.deployment.possible import why_not
from fedlearn_helpers.deployment.programs import Node, Refusal

__all__ = [
    "Credentials",
    "Deployment",
    "ListedNode",
    "ListedRun",
    "Node",
    "Refusal",
    "RunStatus",
    "check_credentials",
    "make_credentials",
    "why_not",
]
