"""Solvers as functions on arrays: they know neither filters nor estimators."""
