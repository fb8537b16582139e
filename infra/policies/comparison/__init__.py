"""Compares two policy sets: which decisions come out differently, for whom, when and on what.

A decision can only differ where a policy looks, so no list of requests is written by hand:

1. ``store.update_order`` says which policies come and go; with none there is nothing to compare.
2. ``literals`` reads what their conditions look at: attributes, texts, moments, durations.
3. ``samples`` makes contexts and devices on both sides of each of these, and with several of them
   at once, up to a bound that is told; ``subjects`` adds everybody whom either set names, in one
   group and in two.
4. ``compare`` asks each person for each action on each resource in each context. The policies that
   come or go are asked alone first: where none of them matches, both sets decide alike. The rest is
   put to both sets, and what flips is told once, of the fewest groups that it needs.
5. ``coverage`` keeps account of which changed policies some request matched, and names the others:
   of these, no flip is no promise.

``with_deployed`` does all this for the files and the store of a tenant.
"""
