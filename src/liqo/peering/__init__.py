"""Who joins whom: requests, answers, tokens, and the end of it."""
