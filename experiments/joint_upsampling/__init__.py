"""Joint upsampling: train a network on generated scenes, test it on a real photograph."""
