"""The shapes to draw: one set of bins for the reference and every period, so that they can be laid over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from .report import Histogram

if TYPE_CHECKING:
    from .ecdf import Ecdf, Floats
    from .profiles import ColumnProfile
    from .samples import Sample

#: Category to rows; None holds the rows of categories that are not told apart.
Categories = Mapping[str | None, int]

BINS: Final = 24
CATEGORIES: Final = 12
#: The label of what no shown category holds.
REST: Final = "(other)"
#: The share at each end that the drawn range leaves to the outer bins, so that one outlier does not flatten the rest.
TAIL: Final = 0.002


def histograms(reference: ColumnProfile | None, samples: Sequence[Sample | None]) -> list[Histogram | None]:
    """One histogram per sample; None where there is nothing to draw."""
    known = reference.sample if reference else None
    numbers = [_numbers(sample) for sample in (known, *samples)]
    if any(numbers):
        return _of_numbers(numbers[0], numbers[1:])
    return _of_categories(_counted(known, reference.rare if reference else 0), [_counted(one) for one in samples])


def drawn_edges(distributions: Sequence[Ecdf]) -> Floats:
    """Equally wide bins over all but the outermost values, shape (k + 1,).

    Where the values lie on a grid, such as whole numbers, each bin covers equally many of its points: otherwise a
    smooth column looks like a comb.
    """
    import numpy as np

    ends = np.array([one.quantiles([TAIL, 1 - TAIL]) for one in distributions])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    step = min((_grid_step(one.values) for one in distributions if one.values.size > 1), default=0.0)
    if low == high:
        half = step / 2 or max(abs(low) * 0.05, 0.5)
        return np.array([low - half, low + half])
    with np.errstate(over="ignore"):
        points = (high - low) / step + 1 if step > 0 else np.inf
    if points < 1e6:
        per_bin = np.ceil(round(points) / BINS)
        count = np.ceil(round(points) / per_bin)
        return np.asarray(low - step / 2 + np.arange(count + 1) * step * per_bin)
    return np.linspace(low / 2, high / 2, BINS + 1) * 2  # halves: the width of all floats is not a float


def _grid_step(values: Floats) -> float:
    """The distance between neighbours where all distances are multiples of it, else 0."""
    import numpy as np

    if values.size > 1_000:
        return 0.0
    with np.errstate(over="ignore"):
        gaps = np.diff(values)
        step = float(gaps.min())
        multiples = gaps / step
    if not np.isfinite(multiples).all() or np.abs(multiples - np.round(multiples)).max() > 1e-3:
        return 0.0
    return step


def _numbers(sample: Sample | None) -> Ecdf | None:
    numbers = sample.numbers if sample else None
    return numbers if numbers is not None and numbers.rows else None


def _counted(sample: Sample | None, rare: int = 0) -> Categories:
    counts: dict[str | None, int] = {}
    counts.update((sample and sample.categories) or {})
    if rare:
        counts[None] = rare
    return counts


def _of_numbers(reference: Ecdf | None, samples: Sequence[Ecdf | None]) -> list[Histogram | None]:
    edges = drawn_edges([one for one in (reference, *samples) if one is not None])
    before = _shares(reference.split(edges[1:-1])) if reference else ()
    places = tuple(float(f"{edge:.9g}") for edge in edges)
    return [Histogram(places, None, before, _shares(one.split(edges[1:-1]))) if one else None for one in samples]


def _of_categories(reference: Categories, samples: Sequence[Categories]) -> list[Histogram | None]:
    labels = _most_frequent([reference, *samples])
    known = set(labels)
    rest = any(set(one) - known for one in (reference, *samples))
    names = (*labels, REST) if rest else labels

    def shares(one: Categories) -> tuple[float, ...]:
        counts = [one.get(label, 0) for label in labels]
        return _shares([*counts, sum(one.values()) - sum(counts)] if rest else counts)

    before = shares(reference) if reference else ()
    return [Histogram(None, names, before, shares(one)) if one else None for one in samples]


def _most_frequent(tables: Sequence[Categories]) -> tuple[str, ...]:
    """The categories with the largest share in any table, the reference's order of frequency first."""
    largest: dict[str, float] = {}
    for table in tables:
        total = sum(table.values())
        for label, rows in table.items():
            if label is not None:
                largest[label] = max(largest.get(label, 0.0), rows / total)
    kept = sorted(largest, key=lambda label: -largest[label])[:CATEGORIES]
    return tuple(label for label in largest if label in set(kept))


def _shares(counts: Any) -> tuple[float, ...]:
    numbers = [int(count) for count in counts]
    total = sum(numbers)
    return tuple(round(number / total, 6) for number in numbers)
