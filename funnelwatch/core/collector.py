"""Python's garbage collector, told to leave alone what lives as long as the process."""

import gc


def spare() -> None:
    """Look at nothing that is there by now, and at what is new every 50,000 objects instead of every 700.

    The 270,000 objects of a web process take 140 ms to go through, in the middle of somebody's request: that was the tail of the
    answers' times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
