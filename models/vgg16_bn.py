"""VGG-16 with batch normalisation (2015), of the frequency interpretation.

    C64x2 MP C128x2 MP C256x3 MP C512x3 MP C512x3 MP FC512 FC512 FC; BN after each C

Command: python -m models.vgg16_bn --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.01 (thirds), momentum 0.9, weight decay 0.005, 90 epochs, batches of
         128, augmentation crop_flip
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "vgg16_bn")

from spectral_keras.models.vgg import RECIPES
from spectral_keras.models.vgg import vgg16_bn as build

RECIPE = RECIPES["vgg16_bn"]
__all__ = ["RECIPE", "build"]
