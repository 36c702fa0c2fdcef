"""Findings: what the rules find in a build, and the edits that fix it."""
