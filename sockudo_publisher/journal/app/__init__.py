"""What all workers of one app share in Redis: the pause, the learned limits, the rate, the list of live workers."""
