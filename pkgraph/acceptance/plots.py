"""Pictures of the classifier and the certificate, as PNG bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import polars as pl

from pkgraph.acceptance.metrics import reliability

if TYPE_CHECKING:
    from pkgraph.acceptance.certification import Certification

_SIZE = (5.0, 3.6)


def _axes() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - matplotlib costs 0.5 s
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=_SIZE, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # Without the software's name and version the same picture has the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _known(judged: pl.DataFrame) -> pl.DataFrame:
    return judged.filter(pl.col("is_mapped") & pl.col("holds").is_not_null())


def reliability_png(judged: pl.DataFrame) -> bytes:
    """Share that holds against the classifier's probability, in bins of equal mass, of `Training.judged`."""
    known = _known(judged)
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="perfect")
    if known.height:
        bins = reliability(known["holds_probability"].to_numpy(), known["holds"].to_numpy())
        axes.plot(bins["mean_probability"], bins["holding_share"], marker="o", label=f"{known.height} labels")
    axes.set(xlabel="probability that it holds", ylabel="share that holds", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title("Reliability, bins of equal mass")
    axes.legend(loc="upper left")
    return _png(figure)


def score_histogram_png(judged: pl.DataFrame, threshold: float | None = None) -> bytes:
    """Labelled statements of `Training.judged` by probability, those that hold and those that do not."""
    known = _known(judged)
    figure, axes = _axes()
    parts = [known.filter("holds"), known.filter(~pl.col("holds"))]
    values = [part["holds_probability"].to_numpy() for part in parts]
    axes.hist(values, bins=20, range=(0, 1), stacked=True, label=["holds", "does not"], color=["C0", "C3"])
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
    axes.set(xlabel="probability that it holds", ylabel="labelled statements", xlim=(0, 1))
    axes.set_title("Labelled statements by score")
    axes.legend(loc="upper center")
    return _png(figure)


def kept_against_bound_png(certification: Certification, alpha: float) -> bytes:
    """How much is kept at each threshold that was tried, against the bound that it has by itself."""
    from matplotlib.ticker import PercentFormatter  # noqa: PLC0415

    figure, axes = _axes()
    curve = certification.curve.filter(pl.col("bound") < 1)
    axes.plot(curve["bound"], curve["kept_share"], marker=".", label="thresholds, strict to loose")
    axes.axvline(alpha, color="black", linestyle="--", label=f"alpha {alpha:.0%}")
    certificate = certification.certificate
    if certificate is not None:
        kept = curve.filter(threshold=certificate.threshold)["kept_share"]
        claimed = [certificate.bound] * kept.len()
        axes.plot(claimed, kept, "*", color="C3", markersize=12, label="what is certified")
    axes.set(
        xlabel="bound on the wrong share, each threshold by itself",
        ylabel="right pairs kept",
        xlim=(0, None),
        ylim=(0, 1.02),
    )
    axes.set_title("Kept share against bound")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower center")
    return _png(figure)
