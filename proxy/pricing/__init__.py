"""Pricing: usage becomes money, in integers, and a price that nobody knows stays unknown."""
