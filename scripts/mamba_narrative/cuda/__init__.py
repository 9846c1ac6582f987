"""Kernels compiled at run time: what all of them share."""
