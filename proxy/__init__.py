"""Weighbridge: an observability sidecar and reverse proxy for LLM traffic."""
