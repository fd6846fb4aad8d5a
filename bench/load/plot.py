"""Plots as SVG, written by hand: bars with whiskers, lines, and lines over time. No library."""

import statistics
from xml.sax.saxutils import escape

COLOURS = ("#1b6ca8", "#e07b39", "#5a9e6f", "#b0437a", "#8a7a3c", "#6b6b8e", "#3f9fa6", "#a0522d",
           "#222222", "#c0a000", "#d94f4f", "#7fb8e6")


def frame(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n')


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def bars(title, groups, names, most=3.0):
    """Horizontal bars: groups {label: {name: [values]}}, the median with a line from the least to the
    greatest. What is longer than `most` is cut, and says so."""
    left, unit, thick = 330, 220, 11
    body, y = [text(16, 24, title, more=' font-size="15"')], 34
    place = 24 + 7 * max(map(len, names), default=0)  # of a name, with its colour
    across = max(1, int(unit * most) // place)
    for i, name in enumerate(names):
        x, y = left + place * (i % across), 34 + 16 * (i // across)
        body.append(f'<rect x="{x}" y="{y}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>')
        body.append(text(x + 14, y + 9, name))
    y += 30
    top = y - 8
    for label, values in groups.items():
        begin = y
        for i, name in enumerate(names):
            if not values.get(name):
                continue
            middle = statistics.median(values[name])
            body.append(f'<rect x="{left}" y="{y}" width="{unit * min(middle, most):.1f}" height="{thick - 2}" '
                        f'fill="{COLOURS[i % len(COLOURS)]}"/>')
            low, high = (left + unit * min(v, most) for v in (min(values[name]), max(values[name])))
            body.append(f'<path d="M{low:.1f} {y + 4.5}H{high:.1f}" stroke="black"/>')
            body.append(text(left + unit * min(max(values[name]), most) + 5, y + 9, f"{middle:.2f}", more=' font-size="10"'))
            y += thick
        body.append(text(left - 10, (begin + y) / 2 + 3, label, "end"))
        y += 12
    body.append(f'<path d="M{left + unit} {top}V{y}" stroke="#888" stroke-dasharray="4 3"/>')
    return frame(left + int(unit * most) + 60, y + 12, body)


def lines(title, x_label, panels):
    """Panels beside each other, over whole numbers: {y label: {name: {x: y}}}."""
    width, height, body = 380, 300, [text(16, 24, title, more=' font-size="15"')]
    for number, (label, series) in enumerate(panels.items()):
        x0, y0 = 60 + number * width, height - 50
        across, up = width - 100, height - 110
        xs = sorted({x for points in series.values() for x in points})
        top = max((y for points in series.values() for y in points.values()), default=1) * 1.1 or 1
        place = lambda x, y: (x0 + across * (x / max(xs)), y0 - up * y / top)  # noqa: E731
        body.append(f'<path d="M{x0} {y0 - up}V{y0}H{x0 + across}" fill="none" stroke="black"/>')
        body.append(text(x0, y0 - up - 10, label))
        body += [text(place(x, 0)[0], y0 + 16, str(x), "middle") for x in xs]
        body += [text(x0 - 4, y0 - up * k / 2 + 4, f"{top * k / 2:.3g}", "end", ' font-size="10"') for k in (0, 1, 2)]
        body.append(text(x0 + across / 2, y0 + 34, x_label, "middle"))
        for i, (name, points) in enumerate(series.items()):
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(x, y) for x, y in sorted(points.items())))
            colour = COLOURS[i % len(COLOURS)]
            body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            body += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>'
                     for px, py in (place(x, y) for x, y in points.items())]
            body.append(text(x0 + across - 90, y0 - 12 - 16 * i, name, more=f' fill="{colour}"'))
    return frame(60 + width * len(panels), height, body)


def timelines(title, x_label, panels):
    """Panels below each other, over any numbers: {y label: {name: [(x, y)]}}. The names are beside the
    first."""
    across, up, x0 = 640, 150, 60
    body, y0 = [text(16, 24, title, more=' font-size="15"')], 70 + up
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    for i, name in enumerate(names):
        body.append(text(x0 + across + 16, 70 + 16 * i, name, more=f' fill="{COLOURS[i % len(COLOURS)]}"'))
    points = [point for series in panels.values() for points in series.values() for point in points]
    first, last = (pick((x for x, _ in points), default=0) for pick in (min, max))
    for label, series in panels.items():
        values = [y for points in series.values() for _, y in points]
        low, high = min(values, default=0), max(values, default=1)
        low = 0 if low < high / 2 else low  # what is all near 1 is shown from there
        scale = lambda x, y: (x0 + across * (x - first) / (last - first or 1),  # noqa: E731
                              y0 - up * (y - low) / (high - low or 1))  # noqa: B023
        body.append(f'<path d="M{x0} {y0 - up}V{y0}H{x0 + across}" fill="none" stroke="black"/>')
        body.append(text(x0, y0 - up - 8, label))
        body += [text(x0 - 4, y0 - up * k / 2 + 4, f"{low + (high - low) * k / 2:.3g}", "end", ' font-size="10"')
                 for k in (0, 1, 2)]
        body += [text(x0 + across * k / 4, y0 + 14, f"{first + (last - first) * k / 4:.3g}", "middle", ' font-size="10"')
                 for k in range(5)]
        for name, points in series.items():
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (scale(*point) for point in points))
            body.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[names.index(name) % len(COLOURS)]}" '
                        'stroke-width="1.5"/>')
        y0 += up + 60
    body.append(text(x0 + across / 2, y0 - up - 28, x_label, "middle"))
    return frame(x0 + across + 190, y0 - up - 10, body)
