"""Events that are due later: kept beside the lanes, whose number may change, until a worker appends them."""
