"""Weighbridge: an observability sidecar and reverse proxy for LLM traffic."""

__version__ = "0.1.0"
