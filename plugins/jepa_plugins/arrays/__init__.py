"""The user's own arrays as a dataset of images, series or vectors."""
