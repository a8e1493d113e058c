"""Times: measuring training steps, and estimating how long the trials of a plan take."""
