"""Third-party distributions: installed and used as a user would, broken, blocked, and as local files."""
