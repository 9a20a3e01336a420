"""How the report writes numbers; accuracies are fractions inside and percent on the page."""

import math

from contracts.scores import Score

MINUS = "\N{MINUS SIGN}"


def percent(value: float) -> str:
    """0.8534 as `85.3 %`."""
    return f"{100 * value:.1f} %"


def starred(text: str, *scores: Score) -> str:
    """A text about scores with a star behind it, where answers to any of them did not come."""
    return f"{text} *" if any(one.num_failed for one in scores) else text


def percent_tick(value: float) -> str:
    """0.8534 as `85 %`, for axes."""
    return f"{100 * value:.0f} %"


def points(value: float) -> str:
    """A difference of two fractions in signed points: 0.153 as `+15.3`."""
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def interval(low: float | None, high: float | None) -> str:
    """A 95 % interval of fractions in percent, or a dash."""
    if low is None or high is None:
        return "–"
    return f"{100 * low:.1f} to {100 * high:.1f}".replace("-", MINUS)


def points_interval(low: float, high: float) -> str:
    """A 95 % interval of a difference, in signed points."""
    return f"{points(low)} to {points(high)}"


def p_value(p: float | None) -> str:
    """0.0314 as `0.031`, what is smaller than 0.001 as `< 0.001`, or a dash."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `12 s`, `2 min 05 s` or `3 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def figure(value: float | None) -> str:
    """A measured value with about three significant digits, whole from 1000 on, or a dash."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    if value.is_integer() and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", MINUS)
    if 0.001 <= abs(value) < 1e6:
        digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
        return f"{value:.{digits}f}".replace("-", MINUS)
    return f"{value:.3g}".replace("-", MINUS)
