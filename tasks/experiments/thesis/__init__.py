"""The theory of dropout (Mianjy's thesis): its figures."""
