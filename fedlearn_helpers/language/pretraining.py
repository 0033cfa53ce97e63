"""Pre-training on public text, and the weights that came of it, which the package brings.

The public text are the help topics of Python itself, `pydoc_data.topics`, which every Python has: technical English.
It takes a minute or two, so the weights are in the package, in float16. This makes them again:

    python -m fedlearn_helpers.language.pretraining weights.npz
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.language.text import CONTEXT, TEXT, simplified, windows
from fedlearn_helpers.language.transformer import Transformer, new_transformer
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.training import train

WEIGHTS = Path(__file__).parent / "embedded" / "python_topics_transformer.npz"
TEXT_SHA256 = "c05e46c15ab8e169ef1dc0d1254a6d00bb1157e748ee9e3c1dde77c57e50f5fa"
"""Of the simplified topics of Python 3.11.7, from which the weights come; other versions have other topics."""
EPOCHS, BATCH, LEARNING_RATE = 10, 32, 4e-3


def public_text() -> str:
    """Return the help topics of this Python, simplified; about 400 000 characters."""
    from pydoc_data.topics import topics

    return simplified(" ".join(topics[name] for name in sorted(topics)))


def pretrained(text: str, *, epochs: int = EPOCHS, seed: int) -> Transformer:
    """Return a transformer that was trained on a text, by AdamW with a rate that rises at first and then falls.

    In every epoch the text is cut into windows at other places.

    Args:
        text: of the alphabet's characters, two windows or more.
        epochs: passes over the text, >= 1.
        seed: decides the first weights, and the order of windows.

    Raises:
        InputError: a text that is too short, or an argument out of range.
    """
    epochs = check_whole_number("epochs", epochs, 1)
    model = new_transformer(derive_seed(seed, "model"))
    cut = [windows(text[epoch * CONTEXT // epochs :]) for epoch in range(epochs)]
    steps = sum(-(-len(inputs) // BATCH) for inputs, _ in cut)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1, pct_start=0.1)
    optimizer.register_step_post_hook(lambda *_: rate.step())
    for epoch, (inputs, targets) in enumerate(cut):
        order = derive_seed(seed, "order", epoch)
        everything = torch.arange(len(inputs))
        train(model, inputs, targets, everything, optimizer, epochs=1, batch_size=BATCH, seed=order, task=TEXT)
    return model


def load_pretrained() -> Transformer:
    """Return the transformer that was trained on the topics of Python, with the weights that the package brings."""
    model = new_transformer(0)
    with np.load(WEIGHTS, allow_pickle=False) as arrays:
        model.load_state_dict({name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays.files})
    return model


def main(path: str) -> None:
    """Train on the public text, and write the weights.

    Raises:
        InputError: this Python has other topics.
    """
    text = public_text()
    if (found := hashlib.sha256(text.encode()).hexdigest()) != TEXT_SHA256:
        raise InputError(f"the topics must be those of Python 3.11.7, with the hash {TEXT_SHA256[:8]}, got {found[:8]}")
    torch.set_num_threads(1)
    model = pretrained(text, seed=0)
    arrays = {name: tensor.numpy().astype(np.float16) for name, tensor in model.state_dict().items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
