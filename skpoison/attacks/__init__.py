"""Data poisoning attacks: samplers that add poison rows to clean ones.

These are availability attacks: they aim to raise the loss of the trained model. With
`targets`, the loss is that on given rows, as in a targeted attack. Every attack has the
parameters ``epsilon`` (``floor(epsilon * n)`` rows are added to n clean ones),
``filter`` (the defense that the attacker faces) and ``random_state``; attacks that
depend on the learner also have ``estimator``, or ``rho`` and ``C`` as in
:class:`~skpoison.CertifiedBound`. ``poison(X, y)`` returns the poison rows;
``fit_resample(X, y)`` returns the clean rows followed by the poison rows.

With ``filter=None``, the attacker faces the sphere and the slab at percentile 70.
:class:`~skpoison.PoisonedClassifier` passes the filter of its classifier to the attack.

For regression, there are ``MinMaxAttack(estimator=Ridge())`` and the like, and
`TargetFlipAttack`; :class:`~skpoison.meta.PoisonedRegressor` takes these.
"""

from skpoison.attacks._base import BaseAttack
from skpoison.attacks._gradient import GradientAttack
from skpoison.attacks._kkt import KKTAttack
from skpoison.attacks._label_flip import LabelFlipAttack
from skpoison.attacks._min_max import MinMaxAttack
from skpoison.attacks._target_flip import TargetFlipAttack

__all__ = [
    "BaseAttack",
    "GradientAttack",
    "KKTAttack",
    "LabelFlipAttack",
    "MinMaxAttack",
    "TargetFlipAttack",
]
