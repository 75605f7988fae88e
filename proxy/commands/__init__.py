"""The commands of the program: each module adds its own to the command line and does them.

A module offers `add(commands)`, which sets `run` of each parser to the function that does the command and returns the exit status.
"""
