"""A real language model by name, where the `transformers` package and the model's files are there.

Its linear layers get the same adapters as the small model's:

    model, tokenizer = load_causal_model("HuggingFaceTB/SmolLM2-135M")
    adapted = with_adapters(model, 8, alpha=16, seed=0)
"""

import importlib
from typing import Any

from torch import Tensor, nn

from fedlearn_helpers.errors import InputError, one_line


class ScoresOf(nn.Module):
    """A model of `transformers` that returns its scores alone.

    Args:
        model: called with tokens (n, T), returns an object with `logits` (n, T, vocabulary).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, T) int64 to scores (n, T, vocabulary), before softmax."""
        return self.model(tokens).logits


def load_causal_model(name: str) -> tuple[ScoresOf, Any]:
    """Return a causal language model in float32, and its tokenizer.

    Args:
        name: of a model on the Hugging Face Hub, or a folder with one.

    Raises:
        InputError: `transformers` is not installed, or the model cannot be loaded, as without a network.
    """
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise InputError(
            f"name={name!r} needs the package transformers, which cannot be imported ({one_line(error)}); "
            "use pip install transformers, or the small Transformer of this package"
        ) from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model = transformers.AutoModelForCausalLM.from_pretrained(name)
    except Exception as error:  # what a missing file or network raises has many names
        raise InputError(
            f"name must be a causal model on the Hub or in a folder, got {name!r}: {one_line(error)}"
        ) from None
    return ScoresOf(model.float()), tokenizer
