"""Perturbations: what does a changed image do that an explanation shows?"""
