"""Matrix completion: a factor model that learns ratings, and its step without autograd."""
