"""Canaries: small events with which workers ask whether the server still remembers message ids."""
