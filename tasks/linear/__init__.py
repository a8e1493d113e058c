"""Tasks on linear networks, with which the theory of dropout is tested."""
