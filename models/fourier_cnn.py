"""The end-to-end spectral network, which the report names as its future work.

    (FC FCP)x3 FCP(1x1) to the DC bin: all in the frequency domain

Command: python -m models.fourier_cnn --dataset cifar10 --precision bfloat16
Recipe:  adam, learning rate 0.001 (onecycle), 20 epochs, batches of 128, augmentation crop_flip
Reaches: not trained in full here.
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "fourier_cnn")

from spectral_keras.models.fourier_cnn import RECIPE, build

__all__ = ["RECIPE", "build"]
