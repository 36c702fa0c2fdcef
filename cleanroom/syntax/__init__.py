"""Text, Dockerfiles, shell scripts, paths: what is written, without what it means."""
