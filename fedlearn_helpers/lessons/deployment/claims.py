"""What notebook 10 claims, to be tried again.

That engines agree, strangers are refused and a resumed run ends with the same bits is asserted in the notebook itself:
where it does not hold, the run fails.
"""

from collections.abc import Callable

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference


def _is(key: str, value: float) -> Callable[[Metrics], list[float]]:
    """By how much a number differs from what it must be, below a half."""
    return lambda metrics: [0.5 - abs(metrics[key] - value)]


def _above(key: str, limit: float) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [metrics[key] - limit]


def _times(higher: str, lower: str, factor: float) -> Callable[[Metrics], list[float]]:
    """By how many times one number is above another, beyond a factor."""
    return lambda metrics: [metrics[higher] / metrics[lower] - factor]


def _notices(name: str) -> Callable[[Metrics], list[float]]:
    return _is(f"{name}_rolled_back", 1)


CLAIMS = (
    Claim(
        "state-answer",
        "From a whole checkpoint SCAFFOLD comes out as if never stopped.",
        lambda metrics: [1e-12 - metrics["scaffold_from_the_whole_checkpoint"]],
        unit="largest difference",
    ),
    Claim(
        "state-answer",
        "From the global model alone a weight of SCAFFOLD is off by more than 0.001.",
        _above("scaffold_from_the_global_model_alone", 1e-3),
        unit="largest difference",
    ),
    Claim(
        "state-answer",
        "From the global model alone FedAvg comes out as if never stopped.",
        lambda metrics: [1e-12 - metrics["fedavg_from_the_global_model_alone"]],
        unit="largest difference",
    ),
    Claim(
        "export-code",
        "The exported model's scores differ by at most 1e-5 of the largest one.",
        lambda metrics: [1e-5 - metrics["parity_relative"]],
        unit="of the largest score",
    ),
    Claim(
        "forms-answer",
        "ONNX Runtime needs less than half of PyTorch's time for one image.",
        _times("pytorch_ms", "onnx_ms", 2),
        unit="times, beyond 2",
    ),
    Claim(
        "forms-answer",
        "With dynamic int8 the file is less than half as large.",
        _times("onnx_kb", "int8_dynamic_kb", 2),
        unit="times, beyond 2",
    ),
    Claim(
        "forms-answer",
        "With dynamic int8 an image takes longer than with float32.",
        _times("int8_dynamic_ms", "onnx_ms", 1),
        unit="times, beyond 1",
    ),
    Claim(
        "leak-answer",
        "An example that is a view brings more images into the file than it has.",
        difference("images_in_the_first_two_test_images", "images_in_a_copy_of_these_two"),
        unit="images",
    ),
    Claim(
        "leak-answer",
        "An example of zeros brings none.",
        _is("images_in_two_images_of_zeros", 0),
        unit="images",
    ),
    Claim(
        "stages-answer",
        "A file without the pixels' step is taken back.",
        _notices("without_the_pixels_step"),
        unit="rollouts",
    ),
    Claim(
        "stages-answer",
        "It had reached at most one device in ten.",
        lambda metrics: [0.1 - metrics["without_the_pixels_step_devices"] / metrics["all_devices"]],
        fails="more nodes, no servers",
    ),
    Claim(
        "needs-answer",
        "A batch's activations take more memory than the weights.",
        _above("memory_of_a_batch_over_weights", 1),
        unit="times, beyond 1",
    ),
)

VARIANTS = (
    Variant("more nodes, no servers", {"num_nodes": 4, "seed": 50, "servers": "none"}),
    Variant("fewer images, no servers", {"max_images": 2000, "servers": "none"}),
    Variant("half the rate, no servers", {"learning_rate": 0.025, "servers": "none"}),
    Variant("twice the rate, no servers", {"learning_rate": 0.1, "servers": "none"}),
)
