"""Writes statistics.json: quantiles by numpy; bootstrap intervals (100 000 resamples) and Student's t by scipy."""
import json
import pathlib

import numpy
import scipy
from scipy import stats

generator = numpy.random.default_rng(7)


def interval(values, statistic):
    result = stats.bootstrap(
        (values,), statistic, n_resamples=100_000, method="percentile", vectorized=True, batch=10_000,
        rng=numpy.random.default_rng(1),
    )
    return [result.confidence_interval.low, result.confidence_interval.high]


def case(name, values):
    values = numpy.round(values, 6)
    spread = stats.median_abs_deviation(values)
    return {
        "name": name,
        "values": values.tolist(),
        "quantiles": {str(p): float(numpy.quantile(values, p)) for p in (0, 0.1, 0.25, 0.5, 0.9, 1)},
        "mad": float(spread),
        "cv": float(stats.variation(values, ddof=1)),
        "p50": interval(values, numpy.median),
    }


cases = [
    case("31 latencies", 40 * numpy.exp(generator.normal(0, 0.05, 31))),
    case("40 latencies, heavy tail", 12 * numpy.exp(0.05 * generator.standard_t(2, 40))),
    case("200 latencies", 3 * numpy.exp(generator.normal(0, 0.1, 200))),
]
student = [
    {
        "degreesOfFreedom": df,
        "critical": float(stats.t.isf(0.025, df)),
        "tails": [[t, float(stats.t.sf(t, df))] for t in (-3.5, -0.2, 0.5, 1.7, 2.5, 8)],
    }
    for df in (1, 2, 3, 4, 5, 8, 11, 30, 199)
]
out = {"numpy": numpy.__version__, "scipy": scipy.__version__, "cases": cases, "student": student}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
