"""The cooperative banks on agree21: a bank's data come in as files, every day.

`scan` takes in what lies in a bank's inbox, in the order of `kinds`; `by_hand` what a person hands over or accepts.
`import_file` takes one file in, in one transaction: judged by `row_check` and `snapshot_check`, its numbers made
pseudonyms by `number_names`, written by `customer_rows` or `other_rows` through `merge`.
"""
