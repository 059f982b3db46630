"""What can be known of consumer groups, worked out without asking anybody: facts in, views and findings out.

`facts` is what one look at a cluster has found; `lag` and its parts make records and seconds of it, `rebalances` the
log of what happened, `doctor` the findings; `view` is what a person is shown of a group, on whatever screen.
"""
