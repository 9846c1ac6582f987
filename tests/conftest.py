"""What all tests share."""

import os

# Several tests run at once. With a thread of torch for every core in each, threads may wait for each other by spinning.
# Set here because it counts only before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
