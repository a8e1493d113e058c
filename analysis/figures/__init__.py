"""Figures made from tables, by matplotlib, seaborn and plotly."""
