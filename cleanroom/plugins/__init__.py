"""Plugins: finding them, loading them, and what they yield."""
