"""Is this machine fit for the workflow? Checks with a verdict, a reason and a remedy."""
