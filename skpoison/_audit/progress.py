"""How far an audit is."""

import sys


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
