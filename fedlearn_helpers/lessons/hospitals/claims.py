"""What notebook 11 claims, to be tried again. A seed is the first of ten splits, so other seeds share some of them."""

from collections.abc import Callable

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference

_OTHERS = ("cleveland", "hungary", "va_long_beach")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _mean_above(key: str, least: float) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [_mean(metrics[key]) - least]


def _each_above(key: str, least: float) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [value - least for value in metrics[key]]


def _mean_difference(higher: str, lower: str) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [_mean(metrics[higher]) - _mean(metrics[lower])]


def _switzerland_last(metrics: Metrics) -> list[float]:
    values = [metrics[f"{name}_log_likelihood_shapley_per_split"] for name in ("switzerland", *_OTHERS)]
    return [min(others) - switzerland for switzerland, *others in zip(*values, strict=True)]


def _a_copy_pays(metrics: Metrics) -> list[float]:
    keys = ("a_copy_first_shapley", "a_copy_fifth_shapley", "nobody_first_shapley")
    values = zip(*(metrics[f"{key}_per_split"] for key in keys), strict=True)
    return [first + copy - before for first, copy, before in values]


def _few_rows_pay(metrics: Metrics) -> list[float]:
    pairs = (metrics[f"{key}_per_split"] for key in ("20_copied_rows_fifth_shapley", "nobody_first_shapley"))
    return [few - 0.4 * before for few, before in zip(*pairs, strict=True)]


def _sees_nothing(key: str) -> Callable[[Metrics], list[float]]:
    return lambda metrics: [0.03 - abs(_mean(metrics[key]) - 0.5)]


CLAIMS = (
    Claim(
        "trap-answer",
        "The averaged standard deviation of age is more than 5 % too small.",
        lambda metrics: [-0.05 - metrics["age_averaged_sd_off"]],
        unit="share",
    ),
    Claim(
        "averaged-answer",
        "In Switzerland FedAvg's model is less accurate than the hospital's own.",
        difference("switzerland_alone_accuracy_per_split", "switzerland_fedavg_accuracy_per_split"),
    ),
    Claim(
        "calibration-answer",
        "In Switzerland the share of ill is more than 0.1 above the shared model's mean probability.",
        _each_above("switzerland_exact_calibration_per_split", 0.1),
        unit="probability",
    ),
    Claim(
        "calibration-answer",
        "An own intercept makes the shared model more accurate in Switzerland.",
        difference("switzerland_exact_own_intercept_accuracy_per_split", "switzerland_exact_accuracy_per_split"),
    ),
    Claim(
        "pays-answer",
        "With 20 rows each, the mean AUC is higher together than alone.",
        _mean_above("gain_of_20_rows_per_split", 0.0),
        unit="AUC, mean of the splits",
    ),
    Claim(
        "pays-answer",
        "The gain with 20 rows each is larger than with all.",
        _mean_difference("gain_of_20_rows_per_split", "gain_of_all_rows_per_split"),
        unit="AUC, mean of the splits",
    ),
    Claim(
        "elsewhere-answer",
        "In Switzerland the others' model is less accurate than its own.",
        difference("switzerland_model_of_own_accuracy_per_split", "switzerland_model_of_others_accuracy_per_split"),
    ),
    Claim(
        "worth-answer",
        "By the log-likelihood Switzerland's Shapley value is the lowest.",
        _switzerland_last,
        unit="log-likelihood",
    ),
    Claim(
        "cheats-answer",
        "The first hospital and its copy get more together than the hospital before.",
        _a_copy_pays,
        unit="AUC",
    ),
    Claim(
        "cheats-answer",
        "Twenty copied rows earn more than two fifths of what all of the hospital's rows earned.",
        _few_rows_pay,
        unit="AUC",
    ),
    Claim(
        "withdraw-answer",
        "The membership test sees a hospital's patients in deep trees, and not after training without it.",
        difference("deep_trees_membership_per_split", "deep_trees_membership_after_per_split"),
        unit="AUC",
    ),
    Claim(
        "withdraw-answer",
        "It sees nothing in the logistic regression.",
        _sees_nothing("logistic_regression_membership_per_split"),
        unit="AUC, mean of the splits",
    ),
    Claim(
        "joint-code",
        "The two parties' weights are those of pooled training to 1e-12.",
        lambda metrics: [1e-12 - metrics["two_parties_apart"]],
        unit="weight",
    ),
    Claim(
        "label-leak-answer",
        "With noise of 4 all rounds together still leak more than 0.75.",
        lambda metrics: [metrics["label_leak_noise_all_rounds"] - 0.75],
        unit="AUC",
    ),
)

VARIANTS = (
    Variant("twice the rounds", {"num_rounds": 60}),
    Variant("half the rate", {"learning_rate": 0.05}),
    Variant("twice the rate", {"learning_rate": 0.2}),
    Variant("half of the rows to test on", {"test_fraction": 0.5}),
    Variant("without cholesterol", {"leave_out": "slope,ca,thal,chol"}),
)
