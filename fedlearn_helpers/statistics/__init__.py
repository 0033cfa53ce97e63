"""Statistics of data that stays where it is: every site answers with whole numbers, and the server adds them."""
