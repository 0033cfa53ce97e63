"""A tiny language model: a transformer that guesses the next character from those before it.

    x_0 = token + place                           an embedding of each character, and one of its place
    x <- x + attention(norm(x))                   each place looks at itself and at earlier ones
    x <- x + W_down gelu(W_up norm(x))            and computes with what it found; both twice, in two blocks
    scores = W_head norm(x)                       one per character of the alphabet

    attention:  softmax(q k^T / sqrt(d)) v,  q, k, v = W_q x, W_k x, W_v x, in several heads of width d side by side

Sources: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; norms before the layers, as here: GPT-2, Radford et al.
2019, "Language Models are Unsupervised Multitask Learners".
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.language.text import ALPHABET, CONTEXT
from fedlearn_helpers.seeds import seeded

WIDTH, HEADS, BLOCKS = 64, 4, 2


class Block(nn.Module):
    """Attention over earlier places, then a small network at each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, T, width) to (n, T, width)."""
        normed = self.norm1(x)
        q, k, v = (in_heads(layer(normed)) for layer in (self.query, self.key, self.value))
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (n, heads, T, width / heads)
        x = x + self.out(found.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def in_heads(x: Tensor) -> Tensor:
    """Map (n, T, width) to (n, heads, T, width / heads)."""
    return x.unflatten(2, (HEADS, -1)).transpose(1, 2)


class Transformer(nn.Module):
    """A decoder of two blocks; 109,997 parameters.

    Args:
        context: how many characters it can look back, >= 1.
    """

    def __init__(self, context: int = CONTEXT) -> None:
        context = check_whole_number("context", context, 1)
        super().__init__()
        self.token, self.place = nn.Embedding(len(ALPHABET), WIDTH), nn.Embedding(context, WIDTH)
        self.blocks = nn.Sequential(*(Block(WIDTH) for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(ALPHABET))
        for embedding in (self.token, self.place):
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (n, T) int64, T <= context, to scores (n, T, characters) of what comes next, before softmax.

        Raises:
            InputError: more characters than the context.
        """
        if tokens.shape[1] > self.place.num_embeddings:
            raise InputError(
                f"tokens must have at most the {self.place.num_embeddings} places of the model's context, "
                f"got {tokens.shape[1]}"
            )
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.token(tokens) + self.place(places)
        return self.head(self.norm(self.blocks(x)))


def new_transformer(seed: int) -> Transformer:
    """Return a transformer; its weights depend on the seed alone."""
    with seeded(seed):
        return Transformer()
