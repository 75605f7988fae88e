"""The demo: a simulated provider to call without any key, and a small fleet of agents that calls it."""
