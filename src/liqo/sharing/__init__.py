"""What is on offer to whom, and which offers are taken."""
