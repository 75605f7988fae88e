"""Stands before the extra of this name, for processes that are to start as an installation without it does."""

raise ImportError("this extra is not installed here")
