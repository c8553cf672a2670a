"""GoogLeNet for CIFAR (Szegedy et al. 2015), of the auxiliary Fourier task.

    C192 Ix2 MP Ix5 MP Ix2 GA FC; I: 1x1, 3x3, two 3x3 and MP in parallel

Command: python -m models.googlenet --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.1 (plateau), momentum 0.9, weight decay 0.0004, 200 epochs, batches of
         128, augmentation mirror_crop_flip, stops after 10 epochs without progress
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "googlenet")

from spectral_keras.models.googlenet import RECIPE, build

__all__ = ["RECIPE", "build"]
