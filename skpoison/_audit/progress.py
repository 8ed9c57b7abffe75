"""How far an audit is, and how much time is left."""

import sys
import time
from collections.abc import Iterable, Iterator


class Progress:
    """Tells a person, or a program, what is done.

    Parameters
    ----------
    verbose : int, default=0
        1 writes a line on standard error for each stage.
    callback : callable, default=None
        Called as ``callback(stage, n_done, n_total)``, first with ``n_done=0``.
    """

    def __init__(self, verbose=0, callback=None):
        self._verbose, self._callback = verbose, callback
        self._stage, self._done, self._total = "", 0, 0

    @property
    def is_wanted(self):
        """Whether somebody reads what is said."""
        return bool(self._verbose)

    def say(self, text):
        """Write a line, if anybody wants to know."""
        if self.is_wanted:
            sys.stderr.write(text + "\n")

    def begin(self, stage, total):
        """Begin a stage that has so many parts."""
        self._stage, self._done, self._total = stage, 0, total
        self.say(f"{stage}: {total:,} {'part' if total == 1 else 'parts'}")
        self._tell()

    def advance(self):
        """One more part is done."""
        self._done += 1
        self._tell()

    def over(self, parts):
        """Count the parts of a stage as they come."""
        for part in parts:
            yield part
            self.advance()

    def _tell(self):
        if self._callback is not None:
            self._callback(self._stage, self._done, self._total)


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

    def has(self, seconds: float, share: float = 1.0) -> bool:
        """Tell whether what takes so long can be done in so large a part of the budget.

        Examples
        --------
        >>> Clock().has(1e9), Clock(60.0).has(50.0), Clock(60.0).has(50.0, share=0.5)
        (True, True, False)
        """
        if self.budget is None:
            return True
        return seconds <= share * self.budget - self.spent()

    def while_there_is(self, jobs: Iterable, n_first: int, share=1.0) -> Iterator:
        """Yield jobs while there is time to begin one; the first ones in any case."""
        for position, job in enumerate(jobs):
            if position >= n_first and not self.has(0.0, share):
                return
            yield job

    @property
    def reason(self) -> str:
        """Why something is left out for which there is no time."""
        return f"the budget of {self.budget:g} seconds"
