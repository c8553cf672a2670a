"""The data of a search: as the training command loads them."""

from models import _train
from models._options import CommandError


def load_data(options):
    """(Dataset, dict of its batches) for resolved options of the training command.

    Raises:
        CommandError: if an option or the data set is wrong.
    """
    from spectral_keras.data import load

    try:
        data = load(
            options["dataset"],
            data_dir=options["data_dir"],
            limit=options["limit"],
            validation_fraction=options["validation_fraction"],
            seed=options["seed"],
            image_size=options["image_size"],
            grayscale=options["grayscale"],
        )
        return data, _train.make_batches(data, options)
    except ValueError as error:
        raise CommandError(str(error)) from error
