"""The leak of every LeakyReLU, which networks, their gradients by hand and their exported graphs have to share."""

LEAK = 0.2
