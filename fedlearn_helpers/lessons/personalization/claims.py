"""What notebook 06 claims, in a form that can be run again."""

from collections.abc import Callable

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference

_SKEWED, _ALIKE, _EASY, _KINDS = "dirichlet:0.5", "dirichlet:10", "pathological:2", "turned:2"


def _ahead_of_both(method: str, scenario: str) -> Callable[[Metrics], list[float]]:
    def margins(metrics: Metrics) -> list[float]:
        found, alone, together = (metrics[f"{name}_on_{scenario}"] for name in (method, "local_only", "global"))
        return [own - max(others) for own, *others in zip(found, alone, together, strict=True)]

    return margins


def _difference_of(name: str, sign: int = 1) -> Callable[[Metrics], list[float]]:
    """The first of two numbers under a name less the second."""

    def margins(metrics: Metrics) -> list[float]:
        first, second = metrics[name]
        return [sign * (first - second)]

    return margins


def _unseen_ahead_of_as_many_epochs(metrics: Metrics) -> list[float]:
    scenarios, tuned, alone = metrics["situations"], metrics["unseen_fine_tuned"], metrics["unseen_short_alone"]
    return [own - other for name, own, other in zip(scenarios.split(","), tuned, alone, strict=True) if name != _EASY]


CLAIMS = (
    Claim(
        "global-notice",
        "Where clients differ, local only is better than FedAvg's model after as many epochs, in the mean.",
        difference(f"local_only_on_{_SKEWED}", f"global_on_{_SKEWED}"),
        fails="with twice the rounds the gap halves",
    ),
    Claim(
        "global-notice",
        "With two classes a client even a model with all images is behind local only.",
        difference(f"local_only_on_{_EASY}", f"centralized_on_{_EASY}"),
    ),
    Claim(
        "global-notice",
        "After four times the rounds FedAvg is better.",
        _difference_of("fedavg_after_more_rounds"),
    ),
    Claim(
        "fine-tuning-notice",
        "Fine-tuning is better than both local only and FedAvg.",
        _ahead_of_both("finetune", _SKEWED),
    ),
    Claim(
        "comparison-notice",
        "APFL is better than both local only and FedAvg where clients differ in a middle way.",
        _ahead_of_both("apfl", _SKEWED),
    ),
    Claim(
        "which-notice",
        "With two classes a client fine-tuning is at most a point better than local only.",
        lambda metrics: [0.01 + lead for lead in difference(f"local_only_on_{_EASY}", f"finetune_on_{_EASY}")(metrics)],
    ),
    Claim(
        "normalization-notice",
        "FedBN is better than FedAvg where cameras differ.",
        lambda metrics: [points / 100 for points in metrics["fedbn_points_by_seed"]],
    ),
    Claim(
        "fine-tuning-forgets",
        "Fine-tuning makes a model better on the classes that are frequent at the client.",
        _difference_of("fine_tuned_on_frequent_classes"),
    ),
    Claim(
        "fine-tuning-forgets",
        "Fine-tuning makes a model worse on all other classes.",
        _difference_of("fine_tuned_on_other_classes", -1),
    ),
    Claim(
        "fine-tuning-forgets",
        "A fine-tuned model is worse on all classes than FedAvg's.",
        _difference_of("fine_tuned_on_all_classes"),
    ),
    Claim(
        "strangers-notice",
        "A fine-tuned model is better at home than on other clients' images.",
        _difference_of("fine_tuned_at_home_and_elsewhere"),
    ),
    Claim(
        "clusters-notice",
        "Two models are better than one for two kinds of clients.",
        _difference_of("one_or_two_models", -1),
        fails="all clients choose the same model",
    ),
    Claim(
        "comparison-notice",
        "IFCA is ahead of both alternatives where there are kinds.",
        _ahead_of_both("ifca", _KINDS),
    ),
    Claim(
        "which-notice",
        "Alike clients are better off with FedAvg's model than with a fine-tuned one.",
        difference(f"global_on_{_ALIKE}", f"finetune_on_{_ALIKE}"),
    ),
    Claim(
        "which-notice",
        "With two classes a client local only is far better than FedAvg's model.",
        difference(f"local_only_on_{_EASY}", f"global_on_{_EASY}"),
    ),
    Claim(
        "who-notice",
        "Fine-tuning gives clients with many images more over FedAvg than those with few.",
        lambda metrics: [-value for value in metrics["few_over_many_against_fedavg"]],
        fails="single seeds, such as one of five: a third of sixteen clients are five",
    ),
    Claim(
        "newcomers-notice",
        "For unseen clients with more than two classes fine-tuning is better than as many epochs of local only.",
        _unseen_ahead_of_as_many_epochs,
    ),
    Claim(
        "maml-agree-notice",
        "Hessian-free is exact to a thousandth of a per cent.",
        lambda metrics: [0.001 - metrics["hessian_free_off_percent"]],
        unit="per cent of the gradient's length",
    ),
)

VARIANTS = (
    Variant("five seeds", {"num_seeds": 5}),
    Variant("twice the rounds", {"num_rounds": 16, "num_seeds": 3}),
    Variant("half the rate", {"learning_rate": 0.015, "num_seeds": 3}),
    Variant("twice the rate", {"learning_rate": 0.06, "num_seeds": 3}),
)
