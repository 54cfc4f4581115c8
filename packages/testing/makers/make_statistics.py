"""What scipy and statsmodels make of scores of ranks: McNemar's tests, Wilson's and clustered intervals, Holm, paired t-tests.

    python make_statistics.py --out DIR
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from manifest_files import versions, write_json, write_sums
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")

COUNTS = [(0, 0), (1, 0), (0, 3), (3, 3), (5, 0), (2, 9), (10, 11), (7, 25), (60, 90), (88, 101), (700, 702), (1400, 1500), (0, 60), (6000, 6400)]
PROPORTIONS = [(0, 1), (1, 1), (0, 20), (20, 20), (3, 7), (53, 100), (440, 1319), (9000, 14042), (5, 10042)]


def mid_p(b, c):
    """The exact two-sided p of statsmodels without one P(X = m); 1 where the counts are equal."""
    if b == c:
        return 1.0
    exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
    return float(exact - stats.binom.pmf(min(b, c), b + c, 0.5))


def clustered():
    cases = []
    for seed, clusters, size in [(1, 5, 8), (2, 57, 12), (3, 2, 30), (4, 12, 3)]:
        rng = np.random.default_rng(seed)
        subjects = np.repeat(np.arange(clusters), rng.integers(1, size, clusters))
        chance = np.clip(0.5 + 0.25 * rng.standard_normal(clusters), 0.05, 0.95)
        scores = (rng.random(len(subjects)) < chance[subjects]).astype(float)
        fit = OLS(scores, np.ones((len(scores), 1))).fit(cov_type="cluster", cov_kwds={"groups": subjects})
        error, mean = float(fit.bse[0]), float(scores.mean())
        effective = min(len(scores), mean * (1 - mean) / error**2)
        cases.append({"scores": scores.astype(int).tolist(), "clusters": subjects.tolist(), "standard_error": error, "effective_size": effective,
                      "interval": list(map(float, proportion_confint(mean * effective, effective, method="wilson")))})
    return cases


def reports():
    """Scores of five ranks on the same documents: right or wrong, and shares; each rank against the best, Holm-adjusted."""
    cases = []
    for seed, documents, binary in [(11, 40, True), (12, 400, True), (13, 60, False), (14, 9, False)]:
        rng = np.random.default_rng(seed)
        hard = rng.standard_normal(documents)
        raw = [hard + 0.4 * rng.standard_normal(documents) + shift for shift in (-0.9, -0.4, -0.1, 0.0, 0.05)]
        scores = [(r > 0).astype(float) if binary else np.round(1 / (1 + np.exp(-r)), 6) for r in raw]
        means = [float(s.mean()) for s in scores]
        best = int(np.argmax(means))
        others = [i for i in range(len(scores)) if i != best]
        tests = [mid_p(int(((scores[i] == 1) & (scores[best] == 0)).sum()), int(((scores[i] == 0) & (scores[best] == 1)).sum()))
                 if binary else float(stats.ttest_rel(scores[i], scores[best]).pvalue) for i in others]
        adjusted = multipletests(tests, method="holm")[1]
        p_values = [1.0] * len(scores)
        for i, p in zip(others, adjusted):
            p_values[i] = float(p)
        cases.append({"ranks": [1, 2, 4, 8, 16], "scores": [s.tolist() for s in scores], "means": means, "best": best, "p_values": p_values,
                      "standard_errors": [float(stats.sem(s - scores[best])) for s in scores]})
    return cases


def main():
    parser = argparse.ArgumentParser(description="Makes the fixtures of the statistics.")
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    write_json(out / "statistics.expected.json", {
        "maker": "makers/make_statistics.py",
        "versions": versions("scipy", "statsmodels", "numpy"),
        "mcnemar": [{"b": b, "c": c, "mid_p": mid_p(b, c)} for b, c in COUNTS],
        "wilson": [{"correct": k, "size": n, "interval": list(map(float, proportion_confint(k, n, method="wilson")))} for k, n in PROPORTIONS],
        "clustered": clustered(),
        "reports": reports(),
    }, indent=None)
    write_sums(out)


main()
