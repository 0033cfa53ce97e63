"""The exercises of notebook 06."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fedlearn_helpers.algorithms import apfl, gradient, mixed, moved
from fedlearn_helpers.errors import one_line
from fedlearn_helpers.lessons.common.exercise import Exercise, NotAttempted, NotYet

_ENDS = {
    "Ditto, λ = 0": ("local only", "Without λ, what is left in Ditto's step that comes from the other clients?"),
    "APFL, α = 0": ("global", "With α = 0, how much of v is in the mixture that the client uses?"),
    "APFL, α = 1": ("local only", "With α = 1, the mixture is v. Does anything of w reach it?"),
    "pFedMe, λ very large": ("global", "A very large λ allows θ no step away from w. Which model is w?"),
    "FedPer, every layer is head": ("local only", "If every layer stays at home, what does the server get to average?"),
    "IFCA, one cluster": ("global", "With one cluster there is nothing to choose. Who trains that model?"),
}


def _test_ends(answer: Any) -> str:
    if not isinstance(answer, Mapping):
        raise NotYet(
            f"The answer must be a dictionary, such as {{'IFCA, one cluster': 'global'}}, and it is {answer!r}."
        )
    given = {name: value for name, value in answer.items() if value is not ...}
    if not given:
        raise NotAttempted
    if missing := [name for name in _ENDS if name not in given]:
        raise NotYet(f"Still to be answered: {'; '.join(missing)}.")
    for name, (right, hint) in _ENDS.items():
        if given[name] not in ("local only", "global"):
            raise NotYet(f"Each answer must be 'local only' or 'global', and that for {name} is {given[name]!r}.")
        if given[name] != right:
            raise NotYet(f"Not so for {name}. {hint}")
    return (
        "Each of these algorithms is a bridge from local only to one model for all clients, and its setting says where on "
        "it you stand. These identities are among the package's tests."
    )


def _loss(parameters: Mapping[str, Tensor], batch: Tensor) -> Tensor:
    """A loss that is bent, so that gradients at different points differ; `batch` scales it."""
    return (batch * (parameters["a"] ** 4 + parameters["a"].sum() * parameters["b"] ** 2)).sum()


_W = {"a": torch.tensor([1.0, -0.5], dtype=torch.float64), "b": torch.tensor([0.3, 0.8], dtype=torch.float64)}
_V = {"a": torch.tensor([0.2, 0.7], dtype=torch.float64), "b": torch.tensor([-0.4, 0.1], dtype=torch.float64)}
_BATCH, _ALPHA, _ETA = torch.tensor([1.0, 2.0], dtype=torch.float64), 0.3, 0.1


def _same(first: Any, second: Mapping[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.allclose(first[name], second[name]) for name in second)


def _test_apfl_step(answer: Any) -> str:
    if not callable(answer):
        raise NotYet(f"The answer must be a function, and it is {answer!r}.")
    w, v = ({name: tensor.clone() for name, tensor in given.items()} for given in (_W, _V))
    try:
        result = answer(_loss, w, v, _BATCH, alpha=_ALPHA, eta=_ETA)
    except Exception as error:
        raise NotYet(f"Your function raised {one_line(error)}") from None
    if result is ...:
        raise NotAttempted
    if not isinstance(result, Sequence) or len(result) != 2 or not all(isinstance(part, Mapping) for part in result):
        raise NotYet("The function must return two dictionaries of tensors: the new w, and the new v.")
    new_w, new_v = result
    right_w, right_v = apfl.step(_loss, _W, _V, _BATCH, alpha=_ALPHA, eta=_ETA)
    if not (_same(w, _W) and _same(v, _V)):
        raise NotYet("The tensors that were given have changed. Make new ones; `moved` does.")
    if _same(new_w, right_v) or _same(new_v, right_w):
        raise NotYet("w and v are exchanged: return the new w first.")
    mixture = mixed(_V, _W, _ALPHA)
    slopes = {"w": gradient(_loss, _W, _BATCH), "v": gradient(_loss, _V, _BATCH)}
    slopes["mixture"] = gradient(_loss, mixture, _BATCH)
    if not _same(new_w, right_w):
        if _same(new_w, moved(_W, slopes["mixture"], -_ETA)):
            raise NotYet("w takes its step with the gradient at w, not at the mixture: the others will receive it.")
        if _same(new_w, moved(_W, slopes["w"], _ETA)):
            raise NotYet("w goes uphill: the sign of its step is wrong.")
        raise NotYet("The new w is not w − η ∇F(w).")
    if _same(new_v, right_v):
        return "One step of APFL. `apfl.train_client` in the package calls this very function for every batch."
    if _same(new_v, moved(_V, slopes["v"], -_ETA * _ALPHA)) or _same(new_v, moved(_V, slopes["v"], -_ETA)):
        raise NotYet("The gradient for v is taken at v. The client uses the mixture, so it must be taken there.")
    if _same(new_v, moved(_V, slopes["mixture"], -_ETA)):
        raise NotYet("The factor α is missing: v enters the mixture with the share α, so its gradient has that factor.")
    if _same(new_v, moved(mixture, slopes["mixture"], -_ETA * _ALPHA)):
        raise NotYet("The step starts at the mixture, so that v is overwritten by it. Start at v.")
    exchanged = gradient(_loss, mixed(_W, _V, _ALPHA), _BATCH)
    if _same(new_v, moved(_V, exchanged, -_ETA * _ALPHA)):
        raise NotYet(
            "The mixture is α w + (1 − α) v: w and v are exchanged. mixed(v, w, alpha) gives the share α to v."
        )
    if _same(new_v, moved(_V, slopes["mixture"], _ETA * _ALPHA)):
        raise NotYet("v goes uphill: the sign of its step is wrong.")
    after = gradient(_loss, mixed(_V, right_w, _ALPHA), _BATCH)
    if _same(new_v, moved(_V, after, -_ETA * _ALPHA)):
        raise NotYet("The mixture has the new w in it. Take both gradients before either model moves.")
    raise NotYet("w is right. The new v is not v − η α ∇F(α v + (1 − α) w).")


def _paired(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the mean difference of clients in pairs, and its standard error."""
    difference = np.subtract(first, second)
    return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)


def _test_best_lambda(answer: Any, *, found: Mapping[str, Mapping[float, Sequence[float]]]) -> str:
    """`found`: by scenario, the clients' accuracies by λ."""
    if not isinstance(answer, Mapping):
        raise NotYet(f"The answer must be a dictionary with a λ for each scenario, and it is {answer!r}.")
    given = {name: value for name, value in answer.items() if value is not ...}
    if not given:
        raise NotAttempted
    means = {
        scenario: {value: float(np.mean(accuracy)) for value, accuracy in by_value.items()}
        for scenario, by_value in found.items()
    }
    for scenario, by_value in means.items():
        if scenario not in given:
            raise NotYet(f"There is no λ for {scenario} yet.")
        value, best = given[scenario], max(by_value.values())
        if value not in by_value:
            tried = ", ".join(f"{known:g}" for known in by_value)
            raise NotYet(f"For {scenario} these λ were tried: {tried}. The answer is {value!r}.")
        if by_value[value] < best - 1e-12:
            worst_client = max(by_value, key=lambda known: min(found[scenario][known]))
            why = (
                " It is the best for the worst client; the question is about the mean." if value == worst_client else ""
            )
            raise NotYet(
                f"For {scenario}, λ = {value:g} gives {by_value[value]:.1%} on average, and another one more.{why}"
            )
    gaps = {scenario: _gap_to_the_second(by_value) for scenario, by_value in found.items()}
    _test_chance(given.get("beyond chance", given.get("trusted")), gaps)  # the second is its older name
    return "; ".join(
        f"{scenario}: λ = {given[scenario]:g} with {means[scenario][given[scenario]]:.1%}, {100 * gap:.1f} points "
        f"ahead of the second best with a standard error of {100 * error:.1f}"
        for scenario, (gap, error) in gaps.items()
    ) + (
        ". A highest point is not yet a better setting. And a lead over these clients is one over the clients of one run, "
        "on the images that chose the λ."
    )


def _gap_to_the_second(by_value: Mapping[float, Sequence[float]]) -> tuple[float, float]:
    """Return how far the best λ is ahead of the second best, clients in pairs, and the standard error."""
    best, second = sorted(by_value.values(), key=np.mean, reverse=True)[:2]
    return _paired(best, second)


def _test_chance(named: Any, gaps: Mapping[str, tuple[float, float]]) -> None:
    if named is None:
        raise NotYet(
            'Both λ are right. Now the second question: put a list of scenarios under "beyond chance"; it may be empty.'
        )
    if isinstance(named, str) or not isinstance(named, list | tuple | set) or set(named) - set(gaps):
        raise NotYet(
            f'Under "beyond chance" there must be a list of scenarios out of {", ".join(gaps)}, and it is {named!r}.'
        )
    for scenario, (gap, error) in gaps.items():
        beyond = gap > 2 * error
        if beyond != (scenario in named):
            says = "more" if beyond else "not more"
            raise NotYet(
                f"For {scenario} the best λ is {100 * gap:.1f} points ahead of the second best, and the standard error "
                f"is {100 * error:.1f}: {says} than twice that."
            )


ends = Exercise(
    name="ends",
    kind="predict",
    difficulty="easy",
    minutes=6,
    hints=(
        "Ask of each: whose data has the model seen that the client uses in the end?",
        "Put the number into the rule. Ditto: v ← v − η(∇F(v) + 0). APFL with α = 0: the mixture is 0·v + 1·w.",
    ),
    solution_code="""
        prediction = {
            "Ditto, λ = 0": "local only",
            "APFL, α = 0": "global",
            "APFL, α = 1": "local only",
            "pFedMe, λ very large": "global",
            "FedPer, every layer is head": "local only",
            "IFCA, one cluster": "global",
        }
    """,
    test=_test_ends,
)

apfl_step = Exercise(
    name="apfl_step",
    kind="code",
    difficulty="medium",
    minutes=12,
    hints=(
        "mixed(v, w, alpha) is the mixture. gradient(loss, point, batch) is the gradient at any point. "
        "moved(start, direction, length) takes a step.",
        "By the chain rule the gradient of F(α v + (1 − α) w) by v is α times the gradient of F at the mixture.",
    ),
    solution_code=apfl.step,
    test=_test_apfl_step,
)

best_lambda = Exercise(
    name="best_lambda",
    kind="explore",
    difficulty="medium",
    minutes=10,
    hints=(
        'Take np.mean of each list in between["Ditto, λ ="][scenario], and sort the λ by it.',
        "With the λ sorted, compare the first two lists: gap, error = ahead(best list, second list).",
    ),
    solution_code="""
        answer, beyond = {}, []
        for scenario, by_value in between["Ditto, λ ="].items():
            best, second = sorted(by_value, key=lambda value: np.mean(by_value[value]), reverse=True)[:2]
            gap, error = ahead(by_value[best], by_value[second])
            answer[scenario] = best
            if gap > 2 * error:
                beyond.append(scenario)
        answer["beyond chance"] = beyond
    """,
    test=_test_best_lambda,
)
