"""Proofs: what a recipe says, measured with the real manager in real builds. Nothing of a recipe runs on the host."""
