"""Real control planes on this machine, for people and tests."""
