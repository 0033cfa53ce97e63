"""A workbook's notebook that runs in a second: a seed, results, and, if wanted, the exercises of notebook 00."""

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PARAMETERS = """
rate: float = 0.1  # any number
name: str = "a"  # any text
seed: int = 0  # any number
output_dir: str = "out"  # folder
"""
RESULTS = """
import json, pathlib, random, time
assert rate < 5, "rate is too large"
time.sleep(0.5)
metrics = {"test_accuracy": random.Random(f"{rate} {name} {seed}").random(), "curve": [rate, seed]}
pathlib.Path(output_dir).mkdir(parents=True, exist_ok=True)
pathlib.Path(output_dir, "results.json").write_text(json.dumps({"metrics": metrics}))
"""
EXERCISES = {  # by name in the module of notebook 00: the stub, and the arguments of the check
    "two_records": ("prediction = ...", "prediction"),
    "average": ("def server_average(returned, examples):\n    return ...", "server_average"),
    "best_local_steps": ("best_steps = ...", "best_steps, error_after=error_after"),
}


def code(name, source, *tags):
    return new_code_cell(source, id=name, metadata={"tags": list(tags)} if tags else {})


def quick_notebook(exercises=EXERCISES):
    """Return a notebook with a seed, results, and exercises of notebook 00. Importing them takes most of its time."""
    cells = [
        new_markdown_cell("# A quick notebook", id="title"),
        code("parameters", PARAMETERS, "parameters"),
        *([code("imports", "from fedlearn_helpers.lessons.start_here import exercises")] if exercises else []),
        code("helper", "def error_after(steps):\n    return abs(steps - 7)"),
    ]
    for number, (name, (stub, arguments)) in enumerate(exercises.items(), start=1):
        cells += [
            new_markdown_cell(f"### Exercise {number}: {name}", id=f"{name}-text"),
            code(f"{name}-answer", stub, "exercise"),
            code(f"{name}-check", f"exercises.{name}.check({arguments})", "check"),
        ]
    cells.append(code("results", RESULTS))
    return new_notebook(cells=cells, metadata=KERNEL)
