"""How a loop runs; knows no kind of ours."""
