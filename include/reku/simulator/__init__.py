"""A demo world: core banks that deliver, a mail server that receives, customers that react, and what must come of it.

It stands outside: it knows our exchanged files and what a mail looks like, but nothing of our database or stages.
So what it notes as true can be held against what the stages report.
"""
