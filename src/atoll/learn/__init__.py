"""Learning new classes from embeddings: weight imprinting and softmax regression."""
