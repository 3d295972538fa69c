"""Localization: does a map lie where the evidence is known to be?"""
