"""What all tests share."""

import os

# Several tests run at once. Where each has a thread of torch for every core, threads wait for each other by spinning:
# on two cores that took three times the CPU time. Set here because it counts only before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
