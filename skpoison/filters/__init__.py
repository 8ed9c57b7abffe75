"""Filters: estimators that score training rows and reject the suspicious ones."""
