"""The steps of a delivery, each a function of its input: limit, render, sign, classify, retry."""
