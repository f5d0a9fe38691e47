"""Programs of the Makefile, outside the product. May import anything; only tests import it."""
