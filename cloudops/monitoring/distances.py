"""How far two distributions are apart: the four statistics, as pure functions of counts.

Population stability index, after Siddiqi, *Credit Risk Scorecards* (2006); its sampling behaviour is in Yurdakul,
*Statistical Properties of Population Stability Index* (2018)::

    PSI = sum over bins of (c - r) * ln(c / r)        r, c: the bin's share in the reference and in the current rows

Usual reading: below 0.1 stable, 0.1 to 0.2 worth a look, above 0.2 changed. Shares below ``EPSILON`` count as
``EPSILON``: an empty bin stays finite, and a share of 1e-6 is no further from none than it is from itself.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .ecdf import Ecdf

#: The smallest share that the stability index tells from none.
EPSILON: Final = 1e-4

#: Up to this many pairs of values the p-value of Kolmogorov-Smirnov is exact; beyond, the limit is close to it.
EXACT_PAIRS: Final = 100_000


def psi(reference: Any, current: Any, epsilon: float = EPSILON) -> float:
    """The population stability index of two histograms over the same bins.

    Args:
        reference: rows per bin, shape (k,), not all zero.
        current: rows per bin, shape (k,), not all zero.
        epsilon: shares below it count as it.
    """
    import numpy as np

    r = np.maximum(_shares(reference), epsilon)
    c = np.maximum(_shares(current), epsilon)
    return float(np.sum((c - r) * np.log(c / r)))


def jensen_shannon(reference: Any, current: Any) -> float:
    """The Jensen-Shannon distance (the root of the divergence) to base 2, 0 to 1; arguments as in :func:`psi`.

    The same as ``scipy.spatial.distance.jensenshannon(reference, current, base=2)``. Lin, *Divergence measures based
    on the Shannon entropy* (1991); Endres and Schindelin (2003) for the root being a metric.
    """
    import numpy as np
    from scipy.special import rel_entr

    r, c = _shares(reference), _shares(current)
    middle = (r + c) / 2.0
    divergence = np.sum(rel_entr(r, middle)) + np.sum(rel_entr(c, middle))
    return float(np.sqrt(max(divergence, 0.0) / np.log(2) / 2.0))


def chi_squared(reference: Any, current: Any) -> tuple[float, float]:
    """Pearson's statistic of the 2 x k table, and its p-value; arguments as in :func:`psi`.

    The same as ``scipy.stats.chi2_contingency([reference, current], correction=False)``; bins empty on both sides
    are left out. One bin: there is nothing to tell apart, so 0 and 1.
    """
    import numpy as np
    from scipy.special import chdtrc

    table = np.array([reference, current], dtype=float)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2:
        return 0.0, 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(np.sum((table - expected) ** 2 / expected))
    return statistic, float(chdtrc(table.shape[1] - 1, statistic))


def kolmogorov_smirnov(reference: Ecdf, current: Ecdf) -> float:
    """The largest difference of the two distribution functions, 0 to 1; neither may be empty.

    The same as ``scipy.stats.ks_2samp``'s statistic. The difference of two step functions is largest at a step of
    ``current`` (current above reference) or just before one (below), so only those points are looked at.
    """
    import numpy as np

    below, upto = reference.steps(current.values)
    shares = current.below / current.rows
    above = np.max(shares[1:] - upto / reference.rows)
    under = np.max(below / reference.rows - shares[:-1])
    return float(max(above, under, 0.0))


def ks_pvalue(statistic: float, reference: Ecdf, current: Ecdf) -> float:
    """How likely a difference of at least ``statistic`` is when both come from one distribution (two-sided).

    Exact for up to ``EXACT_PAIRS`` pairs, else the limit: scipy's ``ks_2samp`` with method "exact" and "asymp". With
    ties the true chance is smaller still.
    """
    from scipy import stats

    n, m = reference.rows, current.rows
    if n * m <= EXACT_PAIRS:
        with warnings.catch_warnings():  # of samples of one size scipy now and then takes the limit, and says so
            warnings.simplefilter("ignore", RuntimeWarning)
            return float(stats.ks_2samp(reference.expanded(), current.expanded(), method="exact").pvalue)
    effective = round(n * m / (n + m))
    if effective <= 1_000 or effective * statistic * statistic < 2.2:
        return float(min(1.0, max(0.0, stats.kstwo.sf(statistic, effective))))
    return _ks_tail(statistic, effective)


def _ks_tail(statistic: float, n: int) -> float:
    """The upper tail of Kolmogorov's distribution for n values, where n * statistic**2 is at least 2.2.

    There the two-sided tail is twice Smirnov's one-sided sum (Simard and L'Ecuyer 2011), which scipy evaluates term
    by term: half a second for a million rows. This is the same sum over arrays. Below 1e-9 Kolmogorov's limit does.
    """
    import numpy as np
    from scipy.special import gammaln

    if n * statistic**2 > 10.5:
        return float(2 * np.exp(-2 * n * statistic**2))
    j = np.arange(int(n * (1 - statistic)) + 1)
    rest = np.maximum(1 - statistic - j / n, 0.0)
    with np.errstate(divide="ignore"):
        log_rest = np.log(rest)
    log_terms = gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1)
    log_terms += (j - 1) * np.log(statistic + j / n) + (n - j) * log_rest
    return float(2 * statistic * np.sum(np.exp(log_terms)))


def _shares(counts: Any) -> Any:
    import numpy as np

    counts = np.asarray(counts, dtype=float)
    return counts / counts.sum()
