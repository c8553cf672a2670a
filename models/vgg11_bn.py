"""VGG-11 with batch normalisation (Simonyan and Zisserman 2015), of the Fourier masks.

    C64 MP C128 MP C256x2 MP C512x2 MP C512x2 MP FC512 FC512 FC; BN after each C

Command: python -m models.vgg11_bn --dataset FOLDER --image-size 128 --grayscale --head imagenet
Recipe:  adam, learning rate 0.001 (onecycle), 5 epochs of warm-up, 50 epochs, batches of 128,
         augmentation resized_crop,flip
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "vgg11_bn")

from spectral_keras.models.vgg import RECIPES
from spectral_keras.models.vgg import vgg11_bn as build

RECIPE = RECIPES["vgg11_bn"]
__all__ = ["RECIPE", "build"]
