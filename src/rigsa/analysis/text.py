"""Numbers as tables, figures and the terminal write them; needs no library."""

NOTHING = "–"
SIGNIFICANT = 0.05


def fall_key(benchmark: str) -> str:
    """Column of a benchmark's fall in the summary."""
    return f"{benchmark}_fall"


def percent(share: float, digits: int = 1) -> str:
    """'−1.4' with a real minus sign, and never '-0.0'."""
    text = f"{100 * share:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def show_share(share: float) -> str:
    """Three digits: 3.46 %, 0.0346 %, 100 %."""
    return f"{float(f'{100 * share:.3g}'):.10g} %"
