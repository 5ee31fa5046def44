"""Training: learners, their tensors, the loop, the softmax head, and the journal of a run."""
