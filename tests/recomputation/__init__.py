"""Figures computed a second time, from the raw files and the definitions alone."""
