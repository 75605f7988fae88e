"""Traces: what the control plane makes of records and sends by OTLP."""
