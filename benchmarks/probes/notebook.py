"""Execute one notebook as it is, and tell how long it took.

python -m probes.notebook notebooks/02_federated_averaging.ipynb
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import papermill

notebook = Path(sys.argv[1]).resolve()
with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    papermill.execute_notebook(
        notebook, None, {"output_dir": folder}, kernel_name="python3", cwd=notebook.parent, progress_bar=False
    )
    print(json.dumps({"seconds": time.perf_counter() - start}))
