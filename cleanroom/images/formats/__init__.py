"""How the audit of an image is written."""
