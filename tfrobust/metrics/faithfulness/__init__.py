"""Faithfulness: does a map say what the network's score depends on?"""
