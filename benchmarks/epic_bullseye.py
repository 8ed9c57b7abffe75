"""Clean-label poison that surrounds a target in feature space: the bullseye polytope.

H. Aghakhani, D. Meng, Y.-X. Wang, C. Kruegel and G. Vigna, "Bullseye Polytope: A
Scalable Clean-Label Poisoning Attack with Improved Transferability", IEEE EuroS&P 2021,
equation (4), for one network and one target.
"""

from typing import NamedTuple

import numpy as np


class Embedding(NamedTuple):
    """Features of a frozen network: layers of rectified linear units.

    Parameters
    ----------
    weights : list of ndarray of shape (n_inputs, n_outputs)
        One matrix for each layer.
    biases : list of ndarray of shape (n_outputs,)
        One vector for each layer.
    """

    weights: list
    biases: list

    def __call__(self, X):
        """Features of rows."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            X = np.maximum(X @ weight + bias, 0)
        return X

    def pull_back(self, X, cotangents):
        """Gradients with respect to rows of inner products with their features."""
        layers = [X]
        for weight, bias in zip(self.weights, self.biases, strict=True):
            layers.append(np.maximum(layers[-1] @ weight + bias, 0))
        for weight, output in zip(self.weights[::-1], layers[:0:-1], strict=True):
            cotangents = (cotangents * (output > 0)) @ weight.T
        return cotangents


def bullseye(embed, pull_back, bases, target, *, radius, n_steps=150):
    """Move the mean of the features of some rows onto the features of a target.

    Parameters
    ----------
    embed : callable
        ``embed(X)``: features of rows, of shape (n_rows, n_outputs).
    pull_back : callable
        ``pull_back(X, cotangents)``: gradient of ``sum(embed(X) * cotangents)``.
    bases : ndarray of shape (n_poison, n_features)
        Rows of the class that the target is to be taken for, in [0, 1].
    target : ndarray of shape (n_features,)
        The target.
    radius : float
        Largest change of any feature.
    n_steps : int, default=150
        Steps along the signs of the gradient, shorter and shorter.

    Returns
    -------
    poison : ndarray of shape (n_poison, n_features)
        The rows, moved by at most ``radius`` and still in [0, 1]; the best met.
    miss : float
        Distance of their mean features from the target's, relative to the latter.
    """
    low, high = np.maximum(bases - radius, 0), np.minimum(bases + radius, 1)
    goal = embed(target[None])[0]
    poison, best, least = bases, bases, np.inf
    for step in range(n_steps):
        difference = embed(poison).mean(axis=0) - goal
        miss = np.linalg.norm(difference) / np.linalg.norm(goal)
        if miss < least:
            best, least = poison, miss
        gradient = pull_back(poison, np.tile(difference, (len(poison), 1)))
        length = 0.1 * radius * (1 - step / n_steps)
        poison = np.clip(poison - length * np.sign(gradient), low, high)
    return best, float(least)
