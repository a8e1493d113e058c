"""Matrix completion: tasks that train a factor model on ratings, and its SGD step without autograd."""
