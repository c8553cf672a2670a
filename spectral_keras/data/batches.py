"""Batches of images for `model.fit`, each a function of (seed, epoch, index) alone."""

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """Batches of float32 images in [0, 1] and int32 labels.

    Args:
        images: uint8 array of shape `[N, height, width, channels]`.
        labels: integer array of shape `[N]`.
        batch_size: positive integer.
        shuffle: True for a new order at each epoch.
        augment: None, or a callable `(images, rng) -> images` on float32 images in [0, 1].
        seed: integer of at least 0.
        drop_remainder: True leaves out a last batch smaller than `batch_size`.
        workers: threads.
    """

    def __init__(
        self,
        images,
        labels,
        batch_size,
        *,
        shuffle=False,
        augment=None,
        seed=0,
        drop_remainder=False,
        workers=1,
    ):
        super().__init__(workers=1)
        self.images = images
        self.labels = np.asarray(labels, np.int32)
        self.batch_size = int(batch_size)
        self.shuffle = shuffle
        self.augment = augment
        self.seed = int(seed)
        self.drop_remainder = drop_remainder
        self.epoch = 0

    def __len__(self):
        full, rest = divmod(len(self.images), self.batch_size)
        return full + (rest > 0 and not self.drop_remainder)

    def __getitem__(self, index):
        return self.batch(self.epoch, index)

    def batch(self, epoch, index):
        start = index * self.batch_size
        if self.shuffle:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
            chosen = order[start : start + self.batch_size]
        else:
            chosen = slice(start, start + self.batch_size)
        images = self.images[chosen].astype(np.float32) * np.float32(1 / 255)
        if self.augment is not None:
            images = self.augment(images, np.random.default_rng([self.seed, epoch, index, 1]))
        return images, self.labels[chosen]
