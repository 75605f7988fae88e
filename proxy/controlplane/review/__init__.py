"""Review: which calls a person is to look at, what they decided, and what that says of the evaluators."""
