"""Small charts as inline SVG, drawn on the server: no script, first paint, both themes (every colour is a CSS class)."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from funnelwatch.web.payloads import Band, Loss

Point = tuple[float, float]
Values = Sequence[float | None]

GLYPH_PATHS = {
    "deploy": '<path d="M8 2.2 14 13H2Z"/>',
    "config": '<path d="M3 3h10v10H3Z"/>',
    "campaign": '<path d="M8 1.6 14.4 8 8 14.4 1.6 8Z"/>',
    "flag": '<path d="M3.5 14.5V2h9.3L10.4 5.4l2.4 3.4H3.5"/>',
    "catalog": '<circle cx="8" cy="8" r="5.6"/>',
    "third": '<path d="M6 2h4v4h4v4h-4v4H6v-4H2V6h4Z"/>',
    "rollback": '<path d="M8 13.8 2 3h12Z"/>',
}


def band_spark(
    band: Band, uid: str, label: str = "", height: int = 64, width: int = 240, worse: str = "down", recovered: bool = False
) -> SafeString:
    """A small multiple: expected range, expectation, what happened; what lies beyond the range is in the deviation colour.

    `uid` names the clip path: it has to come from the object drawn, so that fragments swapped into a page never clash.
    """
    seen = [v for name in ("y", "lo", "hi") for v in band[name] if v is not None]
    if not any(v is not None for v in band["y"]):
        return mark_safe("")
    scale = _Scale(min(seen), max(seen), len(band["y"]), width, height)
    actual, low, high = scale.points(band["y"]), scale.points(band["lo"]), scale.points(band["hi"])
    edge = low if worse == "down" else high
    far = height + 40 if worse == "down" else -40
    last = max(index for index, point in enumerate(actual) if point)
    beyond = edge[last] is not None and (actual[last][1] - edge[last][1]) * (1 if worse == "down" else -1) > 0
    colour = " is-bad" if beyond else " is-good" if recovered else ""
    x, y = actual[last]
    parts = [
        f'<clipPath id="{uid}">{_beyond(edge, far)}</clipPath>',
        f'<path class="s-band" d="{_ribbon(high, low)}"/>',
        f'<path class="s-exp" d="{_line(scale.points(band["expected"]))}"/>',
        f'<path class="s-gap" clip-path="url(#{uid})" d="{_ribbon(actual, edge)}"/>',
        f'<path class="s-line" d="{_line(actual)}"/>',
        f'<path class="s-bad" clip-path="url(#{uid})" d="{_line(actual)}"/>',
        f'<path class="s-halo" d="M{x:g} {y:g}h0"/><path class="s-dot{colour}" d="M{x:g} {y:g}h0"/>',
    ]
    return _svg(parts, label, width, height)


def loss_chart(loss: Loss, label: str, height: int = 140, width: int = 480) -> SafeString:
    """What was lost, added up since onset."""
    scale = _Scale(0, max(max(loss["lost"], default=0), 1e-9), len(loss["lost"]), width, height)
    line = [point for point in scale.points(loss["lost"]) if point]
    if not line:
        return mark_safe("")
    grid = [f'<path class="s-grid" d="M0 {height - 1 - share * (height - 2):g}H{width}"/>' for share in (0, 0.5, 1)]
    x, y = line[-1]
    parts = [
        *grid,
        f'<path class="s-area" d="{_line(line)}L{x:g} {height - 1}L0 {height - 1}Z"/>',
        f'<path class="s-bad" d="{_line(line)}"/>',
        f'<path class="s-halo" d="M{x:g} {y:g}h0"/><path class="s-dot is-bad" d="M{x:g} {y:g}h0"/>',
    ]
    return _svg(parts, label, width, height)


def glyph(shape: str, word: str, solid: bool = False) -> SafeString:
    """The mark of a kind of change: the shape carries the meaning, the colour repeats it."""
    return format_html(
        '<span class="glyph {}{}" role="img" aria-label="{}"><svg viewBox="0 0 16 16">{}</svg></span>',
        shape, " solid" if solid else "", word, mark_safe(GLYPH_PATHS[shape]),
    )  # fmt: skip


def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite in `parts/icons.html`."""
    return format_html('<svg class="ico {}" aria-hidden="true"><use href="#i-{}"/></svg>', classes, name)


class _Scale:
    """Maps values to the drawing's coordinates, 3 units of air above and below."""

    def __init__(self, low: float, high: float, count: int, width: int, height: int) -> None:
        self.low, self.span = low, (high - low) or 1.0
        self.step = width / max(1, count - 1)
        self.height = height

    def points(self, values: Values) -> list[Point | None]:
        return [
            None if v is None else (round(i * self.step, 2), round(self.height - 3 - (v - self.low) / self.span * (self.height - 6), 2))
            for i, v in enumerate(values)
        ]


def _svg(parts: Sequence[str], label: str, width: int, height: int) -> SafeString:
    role = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="spark" style="--h:{}px" viewBox="0 0 {} {}" preserveAspectRatio="none" {}>{}</svg>',
        height, width, height, role, mark_safe("".join(parts)),
    )  # fmt: skip


def _line(points: Sequence[Point | None]) -> str:
    """A path that lifts the pen over missing values."""
    out, pen_down = [], False
    for point in points:
        if point is None:
            pen_down = False
            continue
        out.append(f"{'L' if pen_down else 'M'}{point[0]:g} {point[1]:g}")
        pen_down = True
    return "".join(out)


def _ribbon(one: Sequence[Point | None], other: Sequence[Point | None]) -> str:
    """The area between two lines, in pieces where both are known."""
    pieces, run = [], []
    for pair in [*zip(one, other, strict=True), (None, None)]:
        if pair[0] is not None and pair[1] is not None:
            run.append(pair)
        elif run:
            pieces.append(_line([a for a, _ in run] + [b for _, b in reversed(run)]) + "Z")
            run = []
    return "".join(pieces)


def _beyond(edge: Sequence[Point | None], far: float) -> str:
    """The side of the range's edge on which harm lies."""
    return f'<path d="{_ribbon(edge, [None if point is None else (point[0], far) for point in edge])}"/>'
