"""From a call to a stored event: prepare, store, ring; one event or any number of them."""
