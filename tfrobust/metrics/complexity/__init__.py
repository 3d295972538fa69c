"""Complexity: does a map say little enough to be read?"""
