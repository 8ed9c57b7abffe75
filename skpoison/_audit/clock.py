"""How much time is left."""

import time

# Of what is left when bounds on moving centroids begin, when the last may be started.
MOVING_SHARE = 0.5


class Clock:
    """Seconds since the audit began, and whether more fit in the budget.

    Without a budget there is always time, and reports do not depend on the machine.
    """

    def __init__(self, budget: float | None = None):
        self.budget, self._begun = budget, time.monotonic()

    def spent(self) -> float:
        """Seconds since the audit began."""
        return time.monotonic() - self._begun

    def left(self) -> float:
        """Seconds that are left; infinite without a budget."""
        return float("inf") if self.budget is None else self.budget - self.spent()

    def has(self, seconds: float) -> bool:
        """Tell whether something that takes so long can still be done."""
        return seconds <= self.left()
