"""`new-plugin`: what it writes, and that it works."""
