"""MobileNetV2 for CIFAR (Sandler et al. 2018), of the auxiliary Fourier task.

    C32, 17 inverted bottlenecks of 16 to 320 filters, C1280(1x1) GA FC

Command: python -m models.mobilenet_v2 --dataset cifar10 --precision bfloat16
Recipe:  sgd, learning rate 0.1 (plateau), momentum 0.9, weight decay 0.0004, 200 epochs, batches of
         128, augmentation mirror_crop_flip, stops after 10 epochs without progress
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "mobilenet_v2")

from spectral_keras.models.mobilenet_v2 import RECIPE, build

__all__ = ["RECIPE", "build"]
