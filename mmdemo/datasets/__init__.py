"""Data to train and test on: read any usual layout, look at it, split it, keep corrections"""
