"""What `import torch, flwr` costs: the memory that no contestant with both can do without."""

import json
import time

import flwr.clientapp
import flwr.serverapp.strategy  # noqa: F401
import torch  # noqa: F401

time.sleep(2)  # long enough to be measured
print(json.dumps({}))
