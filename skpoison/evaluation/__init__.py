"""Evaluation of attacks and defenses, and tuning of defenses."""

from skpoison.evaluation._evaluate import evaluate_attack
from skpoison.evaluation._losses import held_out_loss, neg_loss_scorer
from skpoison.evaluation._search import DefenseSearchCV

__all__ = ["DefenseSearchCV", "evaluate_attack", "held_out_loss", "neg_loss_scorer"]
