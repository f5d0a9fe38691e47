"""Steps of the worker that run beside its pool: the sweep and the canaries."""
