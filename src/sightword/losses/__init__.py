"""The mathematics of the objectives: tensors in, one scalar out, nothing kept.

Everything is computed in float32 (float64 stays float64) with autocast off, because a softmax over
thousands of pairs in bfloat16 loses the small logits that carry the gradient.

Contrast over several ranks: give the local rows as the first arguments, everybody's features as
`images=`/`texts=` (gathered with gradient, see `distributed.gather`) and the `offset` of the local rows
among them. The result is the mean over the *local* rows; averaged over equal ranks, as DDP averages
gradients, it is the loss of the whole batch.

From 2,048 rows of all ranks on (`contrast.LARGE`) the logits never exist as a whole: one process makes them
in tiles that serve both directions (`tiles`), a rank of several in strips of its own rows (`strips`).
"""
