"""Streams of answers: each agent, task type and model is watched for drift beside the traffic, and whoever is to know is told of an alarm."""
