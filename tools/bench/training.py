"""The training part of `make bench`: how long until a classifier of the bundled photographs is as good as fastai's
defaults make it?

Each contestant trains on the same photographs, with the same pre-trained EfficientNet-Lite0, batch size and seed, those
of fastai also with the same augmentation, loss and head. Validation, on other sessions and at the same size, is not
timed.
"""
import time

import pandas as pd

from tools.bench import processes
from utils import paths, photos
from utils.silence import quiet

SIZE, BATCH = 224, 32  # pixels per side; photographs per step
FRAMES = 4  # of each session's eight are trained on: half of the photographs, so that the slowest takes minutes
VALIDATED = 192  # photographs
DEFAULT, RECIPE, KERAS = "fastai's defaults", "torch_recipe", "Keras, the usual way"
AUGMENTATION = {"flip_vert": True, "max_rotate": 180, "max_zoom": 1.5, "p_affine": 1}  # milder: few epochs
EPOCHS = {DEFAULT: 2, RECIPE: 4, KERAS: 4}  # after one in which only the head is trained


class Record:
    """Notes the seconds of training so far and the validation accuracy: after each epoch a call of `note`."""

    def __init__(self, clock=time.perf_counter):
        self.seconds, self.history, self._started, self._clock = 0.0, [], None, clock

    def start(self):
        self._started = self._clock()

    def stop(self):
        self.seconds += self._clock() - self._started

    def note(self, accuracy):
        self.history.append((self.seconds, float(accuracy)))


def photographs():
    """The table to train on and validate with, its label as text, `is_valid` as truth value."""
    table = photos.read_table(paths.TABLETOP)
    table = table[table["label"] != photos.OTHER]
    train = table[table["split"] == "train"].groupby("session").head(FRAMES)
    valid = table[table["split"] == "valid"]
    table = pd.concat([train, valid.iloc[::max(1, len(valid) // VALIDATED)]], ignore_index=True)
    return table.assign(is_valid=table["split"] == "valid")


def train_with_fastai(name, record):
    """fine_tune of DEFAULT or RECIPE. They differ in what makes the recipe fast, and in nothing else."""
    # isort: off
    from utils import torch_recipe  # before fastai
    from fastai.vision.all import (Callback, CategoryBlock, ColReader, ColSplitter, DataBlock, ImageBlock, Resize,
                                   accuracy, aug_transforms, set_seed, vision_learner)

    class Notes(Callback):
        order = 100  # after the recorder

        def before_train(self):
            record.start()

        def after_train(self):
            record.stop()

        def after_epoch(self):
            record.note(self.recorder.values[-1][-1])

    table = photographs()
    set_seed(0)
    if name == RECIPE:
        dls = torch_recipe.dataloaders(paths.TABLETOP, table, photos.class_names(table), BATCH, SIZE, AUGMENTATION)
        arch, callbacks = torch_recipe.efficientnet_lite0_for_cpu, torch_recipe.callbacks_for_cpu()
        rates = {"lr_mult": 5}
    else:
        block = DataBlock((ImageBlock, CategoryBlock), get_x=lambda row: paths.TABLETOP / row["file"],
                          get_y=ColReader("label"), splitter=ColSplitter(), item_tfms=Resize(SIZE),
                          batch_tfms=aug_transforms(**AUGMENTATION))
        dls = block.dataloaders(table, bs=BATCH)
        arch, callbacks, rates = torch_recipe.efficientnet_lite0, [], {}
    learn = vision_learner(dls, arch, metrics=accuracy, cbs=[Notes(), *callbacks])
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(EPOCHS[name], **rates)


def train_with_keras(record):
    """As Keras' guide to transfer learning does it: a frozen backbone and a new head, then all of it with a small
    learning rate; its own layers augment. (https://keras.io/guides/transfer_learning/)"""
    quiet("tensorflow")
    import keras
    import tensorflow as tf

    from utils.backbone import keras_backbone, scale_pixels

    table = photographs()
    names = photos.class_names(table)

    def dataset(rows):
        pictures = photos.read_photos(paths.TABLETOP, rows, (SIZE, SIZE))
        return tf.data.Dataset.from_tensor_slices((pictures, rows["label"].map(names.index).to_numpy()))

    change = keras.Sequential([keras.layers.RandomFlip(seed=0), keras.layers.RandomRotation(0.5, seed=0),
                               keras.layers.RandomZoom((-0.33, 0), seed=0)])
    train = dataset(table[~table["is_valid"]]).shuffle(len(table), seed=0).batch(BATCH)
    train = train.map(lambda x, y: (scale_pixels(change(tf.cast(x, tf.float32), training=True)), y)).prefetch(2)
    valid = dataset(table[table["is_valid"]]).batch(BATCH).map(lambda x, y: (scale_pixels(tf.cast(x, tf.float32)), y))

    class Notes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            record.start()

        def on_epoch_end(self, epoch, logs=None):
            record.stop()
            record.note(self.model.evaluate(valid, verbose=0)[1])

    keras.utils.set_random_seed(0)
    backbone = keras_backbone(input_shape=(SIZE, SIZE, 3))
    inputs = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Dropout(0.2)(backbone(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(len(names), activation="softmax")(x))
    for trainable, rate, epochs in ((False, 1e-3, 1), (True, 1e-5, EPOCHS[KERAS])):
        backbone.trainable = trainable
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(train, epochs=epochs, callbacks=[Notes()], verbose=0)


def contestant(name):
    """{"history": [[seconds of training, validation accuracy] after each epoch], "megabytes": peak memory} of one
    contestant; memory of fastai's loading processes is not counted."""
    processes.one_of(EPOCHS, name)
    record = Record()
    if name == KERAS:
        train_with_keras(record)
    else:
        train_with_fastai(name, record)
    return {"history": record.history, "megabytes": processes.peak_megabytes()}


def run():
    """{title: table} of fastai with and without the recipe, and Keras. Raises CourseError when one fails."""
    return {"training": compare({name: processes.figures_of_contestant("training", name) for name in EPOCHS})}


def compare(found):
    """A table with a row per contestant: accuracy at its end; seconds until it first was as good as DEFAULT at its end
    (missing where it never was); these seconds and its memory, divided by DEFAULT's.

    found: {name: {"history": [(seconds, accuracy), …], "megabytes": …}}, DEFAULT among them.
    """
    goal = found[DEFAULT]["history"][-1][1]
    rows = {}
    for name, each in found.items():
        history = each["history"][-1:] if name == DEFAULT else each["history"]
        reached = next((seconds for seconds, accuracy in history if accuracy >= goal), float("nan"))
        rows[name] = {"accuracy": each["history"][-1][1], "seconds": each["history"][-1][0],
                      "seconds to the same accuracy": reached, "megabytes": each["megabytes"]}
    table = pd.DataFrame(rows).T
    table["time over the defaults'"] = table["seconds to the same accuracy"] / table.loc[DEFAULT, "seconds"]
    table["memory over the defaults'"] = table["megabytes"] / table.loc[DEFAULT, "megabytes"]
    return table
