"""What the command line says and asks."""
