"""Sanity checks: does a map change when what it explains is another?"""
