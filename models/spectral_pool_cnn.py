"""The spectral pooling network: eq. (5) of Rippel, Snoek and Adams (2015).

    (C SP)xM C(1x1) C10(1x1) GA, frequency dropout

Command: python -m models.spectral_pool_cnn --dataset cifar10 --precision bfloat16
Recipe:  adam, learning rate 0.001 (onecycle), 20 epochs, batches of 128, augmentation crop_flip
Reaches: 70.25 % of CIFAR-10 in 42 minutes of two busy cores: 20 epochs, --num-pairs 4,
         --gamma 0.7, --width 0.5 (results/spectral_pool_cnn_w50-cifar10)
"""

if __name__ == "__main__":
    from models import command

    command("spectral_keras.experiments.train.command", "spectral_pool_cnn")

from spectral_keras.models.spectral_pool_cnn import RECIPE, build

__all__ = ["RECIPE", "build"]
