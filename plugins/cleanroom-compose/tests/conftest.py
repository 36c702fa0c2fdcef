"""What holds for all tests here."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long a test takes says nothing about what it tests
settings.load_profile("untimed")
