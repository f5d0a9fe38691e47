"""Data of a whole app in Redis: the pause, the learned limits, the rate, the live workers."""
