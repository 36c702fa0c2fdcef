"""Recipes: what is known of each package manager."""
