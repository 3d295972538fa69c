"""A run: its configuration, what is built of it, its loop, its folder and its stages."""
