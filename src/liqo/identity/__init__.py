"""Who somebody is: keys, signed documents, proofs, sealed credentials; pure."""
