"""Store the event of a call: prepare, append, ring; one event or any number of them."""
