"""Plugins: finding and loading them, and what they yield. Nothing in here knows what a plugin may yield."""
