"""Lower bounds on robustness, and estimates that say that they are none."""
