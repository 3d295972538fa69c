"""Robustness: does an explanation stay while the image hardly changes?"""
