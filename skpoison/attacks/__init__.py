"""Attacks: samplers that add poison rows to clean ones.

Every attack takes ``epsilon`` (``floor(epsilon * n)`` whole rows are added to n clean
ones), the ``filter`` that the attacker faces, the learner that is attacked where the
attack needs to know it (``estimator``, or ``rho`` and ``C`` as in
:class:`~skpoison.CertifiedBound`), and ``random_state``. ``poison(X, y)`` returns the
poison rows, ``fit_resample(X, y)`` the clean rows and then the poison rows.

Where ``filter`` is None, the attacker faces the sphere and the slab at percentile 70.
:class:`~skpoison.PoisonedClassifier` tells an attack of the filter in front of
the classifier.
"""

from skpoison.attacks._base import BaseAttack
from skpoison.attacks._gradient import GradientAttack
from skpoison.attacks._kkt import KKTAttack
from skpoison.attacks._label_flip import LabelFlipAttack
from skpoison.attacks._min_max import MinMaxAttack

__all__ = [
    "BaseAttack",
    "GradientAttack",
    "KKTAttack",
    "LabelFlipAttack",
    "MinMaxAttack",
]
