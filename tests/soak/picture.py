"""Figures over time as one SVG: a small chart for each."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN, COLUMNS = 320, 110, 16, 3
TEXT = 34

Points = Sequence[tuple[float, float]]


def draw(series: Mapping[str, Points]) -> str:
    """The picture, each chart from zero to its most."""
    rows = -(-len(series) // COLUMNS)
    charts = []
    for number, (name, points) in enumerate(series.items()):
        row, column = divmod(number, COLUMNS)
        place = f"translate({MARGIN + column * (WIDTH + MARGIN)} {MARGIN + row * (HEIGHT + TEXT)})"
        charts.append(f'<g transform="{place}">{_chart(name, points)}</g>')
    width, height = COLUMNS * (WIDTH + MARGIN) + MARGIN, rows * (HEIGHT + TEXT) + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="100%" height="100%" fill="white"/>{"".join(charts)}</svg>\n'
    )


def _chart(name: str, points: Points) -> str:
    most, end = max(value for _, value in points) or 1, points[-1][0] or 1
    line = " ".join(f"{at / end * WIDTH:.1f},{TEXT + (1 - value / most) * (HEIGHT - TEXT):.1f}" for at, value in points)
    return (
        f'<text y="12">{escape(name)}</text><text y="26" fill="#666">most {most:,.10g}, in {end:,.0f} s</text>'
        f'<rect y="{TEXT}" width="{WIDTH}" height="{HEIGHT - TEXT}" fill="none" stroke="#ccc"/>'
        f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="1.2"/>'
    )
