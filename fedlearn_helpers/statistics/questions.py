"""What a server may ask all sites: a question whose answers are vectors of whole numbers, of which it needs the sum.

    answer_k = f(data_k, asked)        total = sum over sites k of answer_k

Whole numbers, because their sum is the same in any order and over any grouping: the total over sites equals the answer
on pooled data to the last bit, and a secure sum can add them. Real numbers are counted in steps: x becomes the whole
number nearest to x / step.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Asked = Mapping[str, np.ndarray]
"""What a question says: named arrays, the same for all sites."""

Answer = Callable[[Any, Asked], np.ndarray]
"""A site's half: called with the site's own data and what is asked, returns int64 (d,). A function of a module, so
that it can be named in a message."""

Ask = Callable[[str, Asked], np.ndarray]
"""The server's half: called with a question's name and what is asked, returns the total of all sites, int64 (d,)."""
