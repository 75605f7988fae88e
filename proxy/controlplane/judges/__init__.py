"""Judges at work: what is asked of them, how they are asked, and what their rulings become."""
