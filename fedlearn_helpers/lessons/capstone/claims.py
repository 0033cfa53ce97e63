"""What notebook 12 claims, to be tried again."""

from collections.abc import Callable

from fedlearn_helpers.lessons.common.claims import Claim, Metrics, Variant, difference


def _share_kept(metrics: Metrics) -> list[float]:
    pairs = zip(metrics["rank_1_loss_per_seed"], metrics["full_loss_per_seed"], strict=True)
    return [(metrics["base_loss"] - low) / (metrics["base_loss"] - full) - 0.5 for low, full in pairs]


def _less(lower: str, higher: str) -> Callable[[Metrics], list[float]]:
    return difference(higher, lower)


CLAIMS = (
    Claim(
        "field-answer",
        "On the watches the global model is worse than a person alone, mean of people.",
        difference("watch_alone_accuracy_per_seed", "watch_federated_accuracy_per_seed"),
    ),
    Claim(
        "field-answer",
        "On the watches fine-tuning is better than the global model.",
        difference("watch_fine_tuned_accuracy_per_seed", "watch_federated_accuracy_per_seed"),
    ),
    Claim(
        "language-answer",
        "Tuning all weights together ends with a lower loss than adapters of rank 1.",
        _less("full_loss_per_seed", "rank_1_loss_per_seed"),
        unit="nats a character",
    ),
    Claim(
        "language-answer",
        "Adapters of rank 1 keep more than half of what full tuning wins.",
        _share_kept,
        unit="share, beyond a half",
    ),
    Claim(
        "language-answer",
        "A writer alone, with an adapter and as many steps, ends with a higher loss than all together.",
        difference("alone_loss_per_seed", "together_loss_per_seed"),
        unit="nats a character",
    ),
    Claim(
        "product-answer",
        "The product of the means is off by more with four local epochs than with one.",
        _less("lora_1_epochs_product_error_per_seed", "lora_4_epochs_product_error_per_seed"),
        unit="relative error",
    ),
    Claim(
        "product-answer",
        "With one A for all there is no such error.",
        lambda metrics: [1e-6 - error for error in metrics["ffa_1_epochs_product_error_per_seed"]],
        unit="relative error",
    ),
    Claim(
        "moved-answer",
        "Tuning at home lowers the loss in the new spelling.",
        _less("moved_loss_after", "moved_loss_before"),
        unit="nats a character",
    ),
    Claim(
        "remember-answer",
        "After full tuning the planted number is more exposed than one that nobody told.",
        difference("exposure_full_per_seed", "exposure_another_per_seed"),
        unit="bits",
    ),
)

VARIANTS = (
    Variant("twice the rounds of tuning", {"tuning_rounds": 8}),
    Variant("half the rounds of the field", {"rounds": 15}),
    Variant("adapters of rank 2", {"rank": 2}),
)
