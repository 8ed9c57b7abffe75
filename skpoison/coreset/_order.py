"""Who is picked next, given the current gain of every candidate."""

import heapq

import numpy as np


class Canonical:
    """The candidate of the largest gain; of several, the one of the lowest index.

    Parameters
    ----------
    gains : ndarray of shape (n_samples,)
        Current gains; negative for rows that have been picked.
    """

    def __init__(self, gains):
        self.gains = gains

    def next(self):
        """Find the next pick.

        Returns
        -------
        row : int
            Its index.
        """
        return int(np.argmax(self.gains))


class Lazy:
    """The candidate that lazy greedy finds with a heap of (gain, index).

    The heap holds gains as they were when last looked at. Its top, which is the highest
    index among equals, is looked at again and picked if no gain in the heap exceeds its
    own; otherwise it goes back. The gain is a largest one, but which of several equal
    ones is picked depends on who was looked at when.

    Parameters
    ----------
    gains : ndarray of shape (n_samples,)
        Current gains.
    """

    def __init__(self, gains):
        self.gains = gains
        self.heap = [(-gain, -row) for row, gain in enumerate(gains.tolist())]
        heapq.heapify(self.heap)

    def next(self):
        """Find the next pick, and take it out of the heap.

        Returns
        -------
        row : int
            Its index.
        """
        while True:
            row = -heapq.heappop(self.heap)[1]
            gain = int(self.gains[row])
            if not self.heap or gain >= -self.heap[0][0]:
                return row
            heapq.heappush(self.heap, (-gain, -row))


ORDERS = {"canonical": Canonical, "lazy": Lazy}
