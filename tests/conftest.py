"""What all tests share."""

import os

<<<<<<< HEAD
# Several tests run at once. Where each has a thread of torch for every core, threads wait for each other by spinning:
# on two cores that took three times the CPU time. Set here because it counts only before torch is imported.
=======
# Several tests run at once. With a thread of torch for every core in each, threads may wait for each other by spinning.
# Set here because it counts only before torch is imported.
>>>>>>> wt-ci
os.environ.setdefault("OMP_NUM_THREADS", "1")
