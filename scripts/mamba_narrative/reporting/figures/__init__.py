"""One module a figure, so that editing a plot redraws that plot only."""
