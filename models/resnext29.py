"""ResNeXt-29 (2x64d) for CIFAR (Xie et al. 2017), of the auxiliary Fourier task.

    C64(1x1) (C(1x1) C(3x3, 2 groups) C(1x1) +)x3 each of 256, 512, 1024; GA FC

Command: python -m models.resnext29 --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.1 (plateau), momentum 0.9, weight decay 0.0004, 200 epochs, batches of
         128, augmentation mirror_crop_flip, stops after 10 epochs without progress
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "resnext29")

from spectral_keras.models.resnext29 import RECIPE, build

__all__ = ["RECIPE", "build"]
