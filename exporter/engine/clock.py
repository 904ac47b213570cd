"""The machine's clocks."""

import time


class SystemClock:
    """Monotonic time for schedules and durations, wall time for what people and Prometheus read."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
