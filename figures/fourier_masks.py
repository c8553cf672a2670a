"""Which frequencies networks need, and what training does to them: the Fourier masks of Karantzas
et al. (2022), figures 3 to 8 and tables 1 to 3.

Whole-set masks are learned for five networks (natural, adversarial, random scales, translations,
rotations), single-image masks for the natural and the adversarial one on the same images: right for
both networks, and wrong for the natural one under attack.  So X is 100 % and XA 0 % by choice.
Masks act on an image's difference to mid-grey, as the published ones behind the normalisation.

What differs from the published code: the images are chosen right for both networks; filtered images
are those of the learned masks, and those of masks made binary, which the code went on with, stand
beside them; the control of the linear classifier has one fixed permutation; the sets keep images
apart on which their masks are tested; masks are also shuffled within rings, as a control; one eps
for training and attack in units of [0, 1], whose range is the clipping range.  Imagenette's images
are resized to squares, not cropped.

Command: python -m figures.fourier_masks --preset cpu
"""

if __name__ == "__main__":
    from models import command

    command("figures._figure", "fourier_masks")

import shutil

from figures._figure import Figure
from figures._mask_drawing import draw
from figures._mask_measures import measure_classes, measure_set, measure_single
from figures._mask_runs import PRESETS, Images, train_regime
from figures._mask_verdicts import verdicts


def run(experiment):
    """Fills `runs`, `data`, `set_masks`, `class_masks`, what is of single images, `verdicts`."""
    if experiment.overwrite:
        for path in experiment.folder.glob("masks-*.npz"):
            path.unlink()
        shutil.rmtree(experiment.folder / "checkpoints", ignore_errors=True)
    images = Images(experiment)
    content, settings = experiment.content, experiment.settings
    content["data"] = {
        "file": images.path,
        "classes": settings["data"]["classes"],
        "shape": list(images.x.shape[1:]),
        "mask_images": len(images.own),
        "other_images": len(images.others),
    }
    for letter in settings["regimes"]:
        train_regime(experiment, images, letter)
        measure_set(experiment, images, letter)
    measure_classes(experiment, images)
    measure_single(experiment, images)
    content["verdicts"] = verdicts(content)
    for found in content["verdicts"]:
        experiment.say(f"{found['claim']}: {found['verdict']} ({found['text']})")
    # All that they hold is in the JSON, or in the masks' own files.
    shutil.rmtree(experiment.folder / "checkpoints", ignore_errors=True)


FIGURE = Figure(
    name="fourier_masks",
    description="Fourier masks of naturally, adversarially and otherwise trained networks.",
    presets=PRESETS,
    run=run,
    draw=draw,
)
