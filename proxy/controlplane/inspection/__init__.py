"""Inspecting calls: samples from the data plane are judged by the evaluators, beside the traffic and never in its way."""
