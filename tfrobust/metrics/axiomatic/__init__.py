"""Axioms: does a map keep the laws that its authors demand of it?"""
