"""How long a fresh process takes to import everything, and to come to the end of a federation's first round."""

import json
import time

start = time.perf_counter()
import torch  # noqa: E402, F401

torch_seconds, start = time.perf_counter() - start, time.perf_counter()
import flwr.clientapp  # noqa: E402
import flwr.serverapp.strategy  # noqa: E402, F401

flower_seconds, start = time.perf_counter() - start, time.perf_counter()
import fedlearn_helpers.data  # noqa: E402
import fedlearn_helpers.experiments.basic_client  # noqa: E402
import fedlearn_helpers.simulation  # noqa: E402

package_seconds, start = time.perf_counter() - start, time.perf_counter()
from probes.federation import embedded_client_app, serve  # noqa: E402

dataset = fedlearn_helpers.data.load_dataset("fashion")
data_seconds, start = time.perf_counter() - start, time.perf_counter()

serve(embedded_client_app(dataset, 10), dataset, clients=10, participants=10, rounds=1, workers="auto")
print(
    json.dumps(
        {
            "import torch": torch_seconds,
            "import flwr": flower_seconds,
            "import fedlearn_helpers": package_seconds,
            "load the embedded data": data_seconds,
            "first round": time.perf_counter() - start,
        }
    )
)
