"""What is in a picture: classifiers that tell whether a concept was drawn after all."""
