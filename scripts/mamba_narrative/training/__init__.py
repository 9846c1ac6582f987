"""Training that can die at any instant and resume exactly."""
