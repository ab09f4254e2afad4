"""Stage 6: from events to minute counts by step and cohort."""

from funnelwatch.rollup.cohorts import DEFAULT_SETS, DimensionSet
from funnelwatch.rollup.preview import Preview, preview
from funnelwatch.rollup.roll_up import Mark, RollupStats, dirty_minutes, forget_run, prune, ranges, roll_up

__all__ = ["DEFAULT_SETS", "DimensionSet", "Mark", "Preview", "RollupStats", "dirty_minutes", "forget_run", "preview", "prune", "ranges", "roll_up"]
