"""One line of progress that stays readable in a notebook, in its saved copy and on a terminal."""

import html
import sys
import time
from types import TracebackType
from typing import Self, TextIO

_SECONDS_BETWEEN_UPDATES = 0.1


class Progress:
    """A bar with a text behind it; the last state is what a saved notebook shows.

    In a notebook it is one HTML `<progress>` element that is updated in place (a tqdm bar is
    saved as a widget that shows nothing later). On a terminal it is one line that is
    overwritten. Elsewhere (a pipe, a test) it is silent.

    Args:
        total: number of steps, or None when it is not known beforehand.
        label: what is being done, at the start of the line; None shows nothing.
    """

    def __init__(self, total: int | None, label: str | None, stream: TextIO | None = None) -> None:
        self.total, self.label, self.text = total, label, ""
        self.done: float = 0
        self._stream = stream or sys.stderr
        self._handle = None
        self._last_drawn = 0.0
        self._in_notebook = _in_notebook()

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.total is None:
            self.total = int(self.done)  # a bar without an end would go on moving in a saved notebook
        if kind is not None:
            self.text = "interrupted" if issubclass(kind, KeyboardInterrupt) else f"stopped by {kind.__name__}"
        self._draw()
        if self.label is not None and not self._in_notebook and self._stream.isatty():
            self._stream.write("\n")

    def update(self, done: float, text: str = "") -> None:
        """Set the number of finished steps and the text behind the bar."""
        self.done, self.text = done, text
        if time.monotonic() - self._last_drawn > _SECONDS_BETWEEN_UPDATES:
            self._draw()

    def _draw(self) -> None:
        self._last_drawn = time.monotonic()
        if self.label is None:
            return
        if self._in_notebook:
            from IPython.display import display

            if self._handle is None:
                self._handle = display(self, display_id=True)
            else:
                self._handle.update(self)
        elif self._stream.isatty():
            self._stream.write(f"\r\x1b[K{self}")
            self._stream.flush()

    def __str__(self) -> str:
        count = f"{int(self.done)}/{self.total}" if self.total is not None else str(int(self.done))
        return f"{self.label} {count}" + (f" · {self.text}" if self.text else "")

    __repr__ = __str__

    def _repr_html_(self) -> str:
        label = html.escape(self.label or "", quote=True)
        bounds = f'max="{self.total}" value="{self.done}"' if self.total is not None else ""
        bar = f'<progress aria-label="{label}" style="width:14em" {bounds}></progress>'
        return f"<div>{bar} {html.escape(str(self))}</div>"


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")
