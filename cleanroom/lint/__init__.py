"""Findings: what the rules say of a build, and the edits that mend it."""
