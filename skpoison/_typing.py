"""Types that the hints of several packages share."""

from typing import TypeAlias

from numpy.typing import ArrayLike
from scipy import sparse

# What scikit-learn reads as rows, tables among it.
RowsLike: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix
