"""Intake: files are claimed, judged and registered once; orders come from control files, receipts go back.

Every file goes the same way. It is moved from `eingang/` to `in_arbeit/`. One transaction writes what became of it,
where its original shall lie and what its receipt says. Then the original is moved and the receipt written. A crash
at any point is repaired by the next scan, because the database knows which moves and receipts are still to come.
"""
