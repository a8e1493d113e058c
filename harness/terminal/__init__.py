"""Output on a terminal: escaped text, tables that fit the window, the live view of a campaign."""
