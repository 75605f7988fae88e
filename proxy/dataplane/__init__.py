"""The data plane: the process that agents talk to. It forwards, decides, and writes the journal; nothing else."""
