"""Controls that act by order: the what the evaluators find, counted, and the orders with an end that follow on it."""
