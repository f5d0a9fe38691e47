"""What the Makefile runs that is no part of the product. May import anything; nothing imports it but its tests."""
