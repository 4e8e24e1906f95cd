"""Who asks, and how much of it: secrets, guesses, limits."""
