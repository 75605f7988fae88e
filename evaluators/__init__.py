"""Judgements of what language models answered: a library of its own, which knows nothing of the proxy."""
