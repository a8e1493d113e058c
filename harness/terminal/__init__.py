"""What people see on a terminal: text made safe, tables that fit the window, the live view of a campaign."""
