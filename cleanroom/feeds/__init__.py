"""Outputs: findings as text for people, and as JSON for other tools."""
