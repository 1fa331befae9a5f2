"""Drift of a table against scipy called column by column, as most monitoring scripts do it."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
from scipy import stats
from scipy.spatial.distance import jensenshannon

from cloudops.monitoring import compare, profile

from .clock import medians

#: Rows, columns and rounds; scipy takes half a minute for twenty columns of a million rows.
SHAPES = ((100_000, 20, 3), (1_000_000, 4, 1))


def run() -> list[tuple[str, float, str]]:
    """For each shape a label, scipy's time over ours (above 1: we are faster), and what was measured."""
    found = []
    for rows, columns, rounds in SHAPES:
        before, after = _table(rows, columns, 0.0, seed=1), _table(rows, columns, 0.02, seed=2)
        known = profile(before)
        times = medians(
            {
                "scipy": partial(_naive, before, after),
                "two tables": partial(compare, before, after),
                "known reference": partial(compare, known, after),
            },
            rounds,
        )
        naive = times.pop("scipy")
        for name, ours in times.items():
            what = f"PSI, KS with p-value, Jensen-Shannon: scipy {naive:.2f} s, here {ours:.2f} s"
            found.append((f"scipy / ours, {rows:,} x {columns}, {name}", naive / ours, what))
    return found


def _table(rows: int, columns: int, shift: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({f"c{at}": rng.normal(shift, 1.0, rows) for at in range(columns)})


def _naive(before: pl.DataFrame, after: pl.DataFrame) -> list[tuple[float, float, float, float]]:
    found = []
    for name in before.columns:
        a, b = before[name].to_numpy(), after[name].to_numpy()
        edges = np.concatenate([[-np.inf], np.unique(np.quantile(a, np.arange(1, 10) / 10)), [np.inf]])
        r, c = (np.histogram(side, edges)[0] / side.size for side in (a, b))
        smooth_r, smooth_c = np.maximum(r, 1e-4), np.maximum(c, 1e-4)
        index = float(np.sum((smooth_c - smooth_r) * np.log(smooth_c / smooth_r)))
        test = stats.ks_2samp(a, b)
        found.append((index, test.statistic, test.pvalue, float(jensenshannon(r, c, base=2))))
    return found
