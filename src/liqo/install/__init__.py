"""CRDs, rights, admission policies and webhook configurations, as data."""
