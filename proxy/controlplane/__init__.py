"""The control plane: reads the journal and does everything that is not forwarding."""
