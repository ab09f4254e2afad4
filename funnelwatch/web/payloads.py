"""The JSON that jobs store for pages to draw, so that a page is one read and never a computation.

Two shapes: `IncidentChart` lies in `Incident.chart` and is rewritten while the incident is open (frozen at its end);
`Overview` lies as JSON text in `states.load(client, project_id, '', *OVERVIEW)` and is rewritten by every tick. Both are the numbers only:
change marks, response marks, the changepoint, titles and money at risk come from the incident's own rows.

Times are integer Unix seconds, UTC. Values are in the metric's own unit, never scaled for display: a rate is 0..1, a
latency milliseconds, revenue the project's currency, a volume a count a minute. `None` (JSON null) stands where too few
sessions make the number meaningless. Arrays of one object have equal length; NaN and infinity never occur. A key that is
not `NotRequired` is always there.

Example of an incident chart:

    {"at": 1795267440, "rolling_minutes": 5, "worse": "down", "x": [1795257600, 1795257660, ...],
     "series": {"cohort": {"name": "iOS Safari · ig_sale", "y": [0.621, 0.617], "expected": [0.622, 0.622],
                           "lo": [0.575, 0.575], "hi": [0.669, 0.669]}, "others": {...}, "store": {...}},
     "sessions": 516, "share": 0.25, "loss": {"unit": "money", "x": [1795265520, ...], "lost": [0, 5600.0, ...]}}
"""

from typing import Literal, NotRequired, TypedDict

#: Name and version under which the overview's JSON (UTF-8) is kept in `store.queries.states`.
OVERVIEW = ("overview", 1)


class Band(TypedDict):
    """A measured series with what was expected of it: `lo`..`hi` is the 95 % range."""

    y: list[float | None]
    expected: list[float | None]
    lo: list[float | None]
    hi: list[float | None]


class NamedBand(Band):
    """A band of the main chart. `name` is the cohort's label, `Everyone else` or `Whole store`."""

    name: str


class IncidentSeries(TypedDict):
    """`others` and `store` are absent when the cohort is everyone."""

    cohort: NamedBand
    others: NotRequired[NamedBand]
    store: NotRequired[NamedBand]


class Loss(TypedDict):
    """What was lost since onset, added up, minute by minute. Money in the incident's currency; orders where no value is known."""

    unit: Literal["money", "orders"]
    x: list[int]
    lost: list[float]


class IncidentChart(TypedDict):
    """The chart of one incident: from 2.5 hours before onset (or the start of data) to now, or to 15 minutes after its end.

    `x` holds one point a minute, each the rate (or sum) of the last `rolling_minutes`. `worse` says on which side of the
    band the harm lies. `sessions` have reached the step in the cohort since onset; `share` is their part of all sessions
    that reached it in that time.
    """

    at: int
    rolling_minutes: int
    worse: Literal["down", "up"]
    x: list[int]
    series: IncidentSeries
    sessions: float
    share: float
    loss: NotRequired[Loss]


class WorstCohort(TypedDict):
    """The cohort with the most missing conversions at a step. `state`: `bad` outside its range, `warn` at its edge."""

    cohort: list[dict[str, str]]
    rate: float
    expected: float
    effect: float
    state: Literal["bad", "warn"]


class OverviewStep(TypedDict):
    """One watched pair over the whole store: sessions an hour into it and the rate of the last `rolling_minutes`.

    `spark` covers the last 3 hours, one point a minute. `collected` is False where the step was not seen for 7 days; then
    the numbers are None and the arrays empty. `worst` is None while no cohort is off.
    """

    step_from: str
    step_to: str
    collected: bool
    per_hour: float | None
    rate: float | None
    expected: float | None
    lo: float | None
    hi: float | None
    spark: Band
    worst: WorstCohort | None


class CohortRow(TypedDict):
    """A cohort far from expectation: standard deviations by step, in the order of `Overview.steps`, None for too few events."""

    cohort: list[dict[str, str]]
    sigmas: list[float | None]


class EventRate(TypedDict):
    """Accepted events a second over the last 3 hours, one point a minute; `expected`, `lo` and `hi` all None while learning.

    `now` is the rate of the last closed minute. `channels` splits the last hour by channel (`browser`, `mobile`, `server`)
    in events a second. `late` is the share of the last hour's events known more than 60 s after they happened.
    """

    x: list[int]
    band: Band
    now: float
    channels: dict[str, float]
    late: float


class Revenue(TypedDict):
    """Orders' value of the last 60 minutes in the project's currency. `expected` None while learning."""

    value: float
    expected: float | None


class Learning(TypedDict):
    """Days of history seen of the days needed; absent from the overview once enough."""

    day: int
    of: int


class DetectorHealth(TypedDict):
    """One detector: how many series it judged at its last run and when that was."""

    name: str
    version: int
    series: int
    ran_at: int


class Overview(TypedDict):
    """Everything the overview says that does not lie in the database. `at` is the end of the newest closed minute.

    `steps` are all watched pairs in funnel order, `cohorts` the (at most 8) furthest from expectation over the last
    `rolling_minutes`, worst first. `watched_cohorts` counts the cohorts judged by the last tick. `rejected` is the share of
    the last hour's messages that were refused.
    """

    at: int
    rolling_minutes: int
    newest_event_at: int | None
    watched_cohorts: int
    rejected: float
    revenue: Revenue | None
    steps: list[OverviewStep]
    cohorts: list[CohortRow]
    events: EventRate
    detectors: list[DetectorHealth]
    learning: NotRequired[Learning]


class NarrowingStep(TypedDict):
    """One station on the way from everyone to the cohort (`Incident.narrowing`): rates since onset.

    `explained` is the share of the missing conversions inside this cohort; `sessions` reached the step in it since onset.
    """

    cohort: list[dict[str, str]]
    rate: float
    expected: float
    explained: float
    sessions: NotRequired[float]
