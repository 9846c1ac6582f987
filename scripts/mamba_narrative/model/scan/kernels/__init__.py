"""CUDA C++ sources, as strings: as Python modules they count among the code that results depend on."""
