"""The plot of when each check ran and how long it took, in SVG."""

from dataclasses import dataclass

ROW = 34
BAR_BELOW_TEXT = 18
SHORTEST = 0.6


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A check in the plot; `start` and `length` in percent of the width, to fit a phone too."""

    label: str
    tone: str
    took: str
    number: int
    start: float
    length: float

    @property
    def text_y(self) -> int:
        """Where its words stand, in pixels."""
        return self.number * ROW + BAR_BELOW_TEXT - 5

    @property
    def bar_y(self) -> int:
        """Where its bar begins, in pixels."""
        return self.number * ROW + BAR_BELOW_TEXT

    @property
    def x(self) -> str:
        """Where it begins, in percent."""
        return f"{min(self.start, 100 - SHORTEST):.2f}%"

    @property
    def width(self) -> str:
        """How wide it is, in percent; what took no time is still seen."""
        return f"{max(self.length, SHORTEST):.2f}%"

    @property
    def bottom(self) -> int:
        """How high a plot must be that ends with it."""
        return (self.number + 1) * ROW
