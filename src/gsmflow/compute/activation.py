"""The slope of every LeakyReLU below zero, shared by networks, hand-written gradients and exported graphs."""

LEAK = 0.2
