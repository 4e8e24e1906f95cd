"""What is configured: files, references to secrets, the accounts that they name; and how all that is exchanged."""
