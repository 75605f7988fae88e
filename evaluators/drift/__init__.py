"""Drift: has what an agent gets back changed, at a false-alarm rate that is stated."""

from evaluators.drift.alarm import Alarm, Move, WireChange
from evaluators.drift.detector import Detector, Status

__all__ = ["Alarm", "Detector", "Move", "Status", "WireChange"]
