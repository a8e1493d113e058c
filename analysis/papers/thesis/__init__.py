"""The theory of dropout (Mianjy's thesis)."""
