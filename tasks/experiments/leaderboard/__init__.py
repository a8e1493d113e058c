"""Every contestant on every architecture."""
