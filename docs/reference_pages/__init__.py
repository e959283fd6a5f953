"""The pages of the reference, written from the program itself when the site is built."""
