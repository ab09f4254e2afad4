"""Which cohort is broken, which cause is most likely, what it costs. Pure: tables in, findings out."""
