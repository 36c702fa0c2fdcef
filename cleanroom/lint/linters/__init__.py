"""What other linters report, beside what cleanroom knows."""
