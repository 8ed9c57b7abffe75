"""Types that the solvers share, for readers and the type checker."""

from collections.abc import Callable
from typing import Any

import numpy as np

# Takes an entry of a solver's history: its steps and bounds at one check.
Monitor = Callable[[dict[str, Any]], None]
# Solves a linear system for a right-hand side.
LinearSolver = Callable[[np.ndarray], np.ndarray]
