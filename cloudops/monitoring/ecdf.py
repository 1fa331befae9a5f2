"""The empirical distribution of a numeric column, as its distinct values and how many rows lie below each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

#: How many points a stored distribution keeps; a share read from it is at most 1/POINTS off.
POINTS: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Ecdf:
    """A step function: ``below[i]`` of the rows are less than ``values[i]``.

    Args:
        values: the distinct values, ascending and finite, shape (k,), in the column's unit.
        below: rows less than each value, then the number of all rows, shape (k + 1,).
    """

    values: Floats
    below: Counts

    @classmethod
    def of(cls, numbers: Floats) -> Ecdf:
        """The distribution of finite numbers in any order, shape (n,); n may be zero."""
        import numpy as np
        import polars as pl

        ordered = pl.Series(numbers, dtype=pl.Float64).sort().to_numpy()  # three times as fast as numpy's
        if not ordered.size:
            return cls(ordered, np.zeros(1, np.int64))
        steps = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
        below = np.concatenate([[0], steps, [ordered.size]])
        return cls(ordered[below[:-1]], below)

    @property
    def rows(self) -> int:
        """How many values the distribution was made of."""
        return int(self.below[-1])

    def split(self, edges: Floats) -> Counts:
        """Rows in each bin [edge, next edge), the outer two open, shape (len(edges) + 1,)."""
        import numpy as np

        inner = self.below[np.searchsorted(self.values, edges, side="left")]
        return np.diff(np.concatenate([[0], inner, [self.rows]]))

    def quantiles(self, shares: Any) -> Floats:
        """For each share, 0 to 1, the smallest value with at least that share of the rows at or below it.

        The same as numpy's ``inverted_cdf``.

        Raises:
            ValueError: the distribution has no rows.
        """
        import numpy as np

        if not self.rows:
            raise ValueError("a column without values has no quantiles")
        # The small number keeps 0.1 * 30 == 3.0000000000000004 from asking for the fourth value.
        wanted = np.ceil(np.asarray(shares, dtype=float) * self.rows - 1e-9).clip(1, self.rows)
        return self.values[np.searchsorted(self.below[1:], wanted, side="left")]

    def thinned(self, exact_at: Floats, points: int = POINTS) -> Ecdf:
        """This distribution with about ``points`` of its values: no share is off by more than 1/``points``.

        Args:
            exact_at: points below which shares stay exact, ascending.
            points: how many values of equal distance in rows are kept.
        """
        import numpy as np

        if self.values.size <= points:
            return self
        steps = np.searchsorted(self.below[1:], np.linspace(0, self.rows, points + 1), side="left")
        edges = np.searchsorted(self.values, exact_at, side="left") - 1
        keep = np.union1d(steps, edges[edges >= 0])
        return Ecdf(self.values[keep], np.append(0, self.below[1:][keep]))

    def expanded(self) -> Floats:
        """Every value as often as it occurred, ascending, shape (rows,)."""
        import numpy as np

        return np.repeat(self.values, np.diff(self.below))

    def steps(self, points: Floats) -> tuple[Counts, Counts]:
        """Rows below, and rows at or below, each point; the distribution may not be empty."""
        import numpy as np

        after = np.searchsorted(self.values, points, side="right")
        # A point below all values looks at the last one, which is not equal to it either.
        hit = self.values[after - 1] == points
        return self.below[after - hit], self.below[after]
