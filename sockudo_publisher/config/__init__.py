"""Settings: what configures this package, read at the first use and checked."""
