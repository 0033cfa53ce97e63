"""A small language model that clients tune together: only adapters travel; and what it remembers of them."""

from fedlearn_helpers.language.exposure import Canary, exposure, exposure_of, new_canary, number_losses, planted
from fedlearn_helpers.language.federated import exact_mean, product_error
from fedlearn_helpers.language.lora import Adapted, LoRALinear, adapter_bytes, linear_layers, merged, with_adapters
from fedlearn_helpers.language.pretrained import load_causal_model
from fedlearn_helpers.language.pretraining import load_pretrained
from fedlearn_helpers.language.text import ALPHABET, CONTEXT, TEXT, as_dataset, decode, encode, simplified, windows
from fedlearn_helpers.language.transformer import Transformer, new_transformer

__all__ = [
    "ALPHABET",
    "CONTEXT",
    "TEXT",
    "Adapted",
    "Canary",
    "LoRALinear",
    "Transformer",
    "adapter_bytes",
    "as_dataset",
    "decode",
    "encode",
    "exact_mean",
    "exposure",
    "exposure_of",
    "linear_layers",
    "load_causal_model",
    "load_pretrained",
    "merged",
    "new_canary",
    "new_transformer",
    "number_losses",
    "planted",
    "product_error",
    "simplified",
    "windows",
    "with_adapters",
]
