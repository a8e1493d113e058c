"""How claims of the papers are judged: `claim` has the data types, the other modules one kind of claim each."""
