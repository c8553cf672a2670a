"""What an attack makes large, one number per image, from logits."""

from keras import ops

# Stands for "this class does not count" in a maximum over classes.
_NEVER = -3e38


def objective(logits, labels, loss, targeted):
    """[N] numbers that rise as the attack comes nearer to its goal.

    Cross-entropy is computed as the log-odds log sum_{j != y} exp(z_j) - z_y. Cross-entropy
    itself is log(1 + exp(log-odds)): it rises with the log-odds, and its gradient is the one of
    the log-odds times the probability of the other classes. An attack uses the sign or
    the direction of the gradient only, which this factor does not change, except that in float32 it
    becomes 0 once the logits differ by about 100: a confident or scaled network would seem to have
    no gradient. The log-odds keep theirs.

    Args:
        logits: [N, K] float32.
        labels: [N] integers, the true class or with `targeted` the wanted one.
        loss: "cross_entropy", or "margin" for max_{j != y} z_j - z_y.
        targeted: whether `labels` are to be reached and not to be left.
    """
    chosen = ops.equal(ops.arange(logits.shape[-1], dtype="int32")[None], labels[:, None])
    own = ops.sum(ops.where(chosen, logits, 0.0), axis=-1)
    others = ops.where(chosen, _NEVER, logits)
    others = ops.max(others, axis=-1) if loss == "margin" else ops.logsumexp(others, axis=-1)
    return own - others if targeted else others - own
