"""What is said: types and their rules, one kind a file."""
