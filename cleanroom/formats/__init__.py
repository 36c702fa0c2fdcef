"""How findings and recipes are written for other tools and for people."""
