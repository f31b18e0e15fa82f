"""One pass of training: what it learns, when it stops, what it keeps, and how it goes on."""

import json

import numpy as np
import pytest
from keras_networks import Listener

from atoll.errors import TrainingError
from atoll.framework import keras, make_deterministic
from atoll.train.fitting import Epoch, Examples, Fitted, Schedule, fit

CLASSES = 3
FEATURES = 12


def points(count, seed, spread=0.5):
    """Points around a corner for each class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    inputs = np.eye(CLASSES, FEATURES)[labels] + rng.normal(0, spread, (count, FEATURES))
    return inputs.astype(np.float32), labels.astype(np.int64)


def examples(count, seed, spread=0.5, *, labels=None, weights=None, epochs=None):
    inputs, known = points(count, seed, spread)

    def at(some, epoch):
        if epochs is not None:
            epochs.append(epoch)
        return inputs[some] + np.float32(0.01 * epoch)

    chosen = known if labels is None else labels
    counted = np.ones(count, np.float32) if weights is None else weights
    return Examples(at, chosen, counted)


def network(dropout=0.0, seed=0, activation="relu"):
    """A network with what keeps a state: dropout's generator and batch statistics."""
    make_deterministic(seed)
    layers = keras().layers
    inputs = keras().Input((FEATURES,))
    x = layers.Dense(16, activation=activation)(inputs)
    x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.Dropout(dropout, seed=seed)(x)
    return keras().Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def schedule(**changes):
    settings = {
        "name": "head",
        "epochs": 6,
        "learning_rate": 0.02,
        "batch_size": 16,
        "patience": 8,
        "label_smoothing": 0.0,
    }
    return Schedule(**settings | changes)


def run(folder, model=None, train=None, validation="own", on_epoch=None, callbacks=(), **changes):
    listener = Listener()
    fitted = fit(
        network() if model is None else model,
        schedule(**changes),
        examples(90, 1) if train is None else train,
        examples(30, 2) if isinstance(validation, str) else validation,
        classes=CLASSES,
        seed=5,
        state=folder / "head.npz",
        progress=listener,
        on_epoch=on_epoch or (lambda fitted: None),
        callbacks=list(callbacks),
    )
    return fitted, listener


def weights(model):
    return [np.asarray(v) for v in model.variables]


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def accuracy(model, seed):
    inputs, labels = points(300, seed)
    return float(np.mean(np.asarray(model(inputs, training=False)).argmax(1) == labels))


def test_it_learns_what_can_be_learnt(tmp_path):
    """From chance to nearly all, on points that it has not seen."""
    model = network()
    assert accuracy(model, 9) < 0.7
    fitted, listener = run(tmp_path, model, train=examples(300, 1, 0.2), epochs=12)
    inputs, labels = points(300, 9, 0.2)
    seen = np.asarray(model(inputs, training=False)).argmax(1)
    assert np.mean(seen == labels) > 0.95
    assert fitted.finished
    assert [row.epoch for row in fitted.epochs] == [*range(1, 13)]
    assert {row.phase for row in fitted.epochs} == {"head"}
    assert fitted.epochs[-1].loss < fitted.epochs[0].loss
    assert fitted.seconds == sum(row.seconds for row in fitted.epochs) > 0
    assert listener.updates[-1] == (12 * 19, 12 * 19)
    assert listener.notes == []


def test_the_figures_are_those_of_the_network(tmp_path):
    """The curve in the report is what the network did on the validation photos."""
    model = network()
    fitted, _ = run(tmp_path, model, epochs=1)
    inputs, labels = points(30, 2)
    scores = np.asarray(model(inputs, training=False))
    (row,) = fitted.epochs
    assert row.val_loss == pytest.approx(-np.log(scores[range(30), labels]).mean(), rel=1e-4)
    assert row.val_accuracy == pytest.approx(np.mean(scores.argmax(1) == labels))


def test_it_stops_when_it_gets_worse_and_keeps_the_best(tmp_path):
    """Random labels can only be learnt by heart: the validation loss soon rises."""
    rng = np.random.default_rng(0)
    kept, model = [], network()
    fitted, _ = run(
        tmp_path,
        model,
        train=examples(60, 1, labels=rng.integers(0, CLASSES, 60)),
        on_epoch=lambda fitted: kept.append(weights(model)),
        epochs=60,
        patience=3,
        learning_rate=0.05,
    )
    losses = [row.val_loss for row in fitted.epochs]
    assert len(losses) < 60
    assert fitted.finished
    assert fitted.best == int(np.argmin(losses)) == len(losses) - 1 - 3
    assert same(weights(model), kept[fitted.best])
    assert not same(kept[fitted.best], kept[-1])


def test_without_validation_all_epochs_are_run_and_the_last_is_kept(tmp_path):
    """The refit on all photos has nothing left to be measured with."""
    kept, model = [], network()
    fitted, _ = run(
        tmp_path,
        model,
        validation=None,
        on_epoch=lambda fitted: kept.append(weights(model)),
        patience=1,
        epochs=5,
    )
    assert len(fitted.epochs) == 5
    assert fitted.best == 4
    assert same(weights(model), kept[-1])
    assert {(row.val_loss, row.val_accuracy) for row in fitted.epochs} == {(None, None)}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("validation", ["own", None])
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path, validation):
    """A power cut in the night: the same weights, to the bit, with dropout and all."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    model = network(dropout=0.5)
    expected, _ = run(whole, model, validation=validation, epochs=5)

    def kill(fitted):
        if len(fitted.epochs) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cut, network(dropout=0.5), validation=validation, epochs=5, on_epoch=kill)
    # Another start, as in a new process: other weights, other random numbers.
    fresh = network(dropout=0.5, seed=77)
    np.random.default_rng().random(7)
    fitted, listener = run(cut, fresh, validation=validation, epochs=5)
    assert same(weights(fresh), weights(model))
    assert fitted.best == expected.best
    assert len(listener.notes) == 1
    assert "epoch 3" in listener.notes[0]

    def figures(fitted):
        return [(r.epoch, r.loss, r.accuracy, r.val_loss, r.val_accuracy) for r in fitted.epochs]

    assert figures(fitted) == figures(expected)


def test_a_run_killed_within_an_epoch_repeats_that_epoch(tmp_path):
    """Most of the time is spent within an epoch: that is where a kill falls."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    model = network(dropout=0.5)
    run(whole, model, epochs=4)
    steps = []

    class Kill(keras().callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(batch)
            if len(steps) == 15:
                raise Killed

    with pytest.raises(Killed):
        run(cut, network(dropout=0.5), epochs=4, callbacks=[Kill()])
    fresh = network(dropout=0.5, seed=77)
    fitted, _ = run(cut, fresh, epochs=4)
    assert len(fitted.epochs) == 4
    assert same(weights(fresh), weights(model))


def test_early_stopping_remembers_over_a_kill_how_long_it_has_waited(tmp_path):
    """Otherwise every restart gives a worsening run a new lease."""
    labels = np.random.default_rng(0).integers(0, CLASSES, 60)
    settings = {
        "train": examples(60, 1, labels=labels),
        "epochs": 60,
        "patience": 4,
        "learning_rate": 0.05,
    }
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    model = network()
    expected, _ = run(whole, model, **settings)

    def kill(fitted):
        if len(fitted.epochs) == expected.best + 3:
            raise Killed

    with pytest.raises(Killed):
        run(cut, network(), on_epoch=kill, **settings)
    fresh = network(seed=77)
    fitted, _ = run(cut, fresh, **settings)
    assert (len(fitted.epochs), fitted.best) == (len(expected.epochs), expected.best)
    assert same(weights(fresh), weights(model))


def test_a_pass_that_is_finished_is_not_run_again(tmp_path):
    """A run that was killed in its last pass must not repeat the others."""
    model = network()
    expected, _ = run(tmp_path, model, epochs=3)
    fresh, told = network(seed=77), []
    fitted, listener = run(tmp_path, fresh, epochs=3, on_epoch=told.append)
    assert fitted == expected
    assert told == []
    assert listener.updates == []
    assert same(weights(fresh), weights(model))


def test_the_same_seed_gives_the_same_weights(tmp_path):
    """Two people with one data set and one seed get one model."""
    results = []
    for name in "ab":
        (tmp_path / name).mkdir()
        model = network(dropout=0.3)
        run(tmp_path / name, model)
        results.append(weights(model))
    assert same(*results)


def constant(value, count):
    inputs = np.full((count, FEATURES), value, np.float32)
    ones = np.ones(count, np.float32)
    return Examples(lambda some, epoch: inputs[some], np.zeros(count, np.int64), ones)


def test_a_loss_that_is_no_number_ends_it_with_what_to_do(tmp_path):
    """Hours of NaN would otherwise end in a model that always says the first class."""
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, network(activation=None), train=constant(np.nan, 32))
    message = str(caught.value)
    assert "epoch 1 of the head pass" in message
    assert "--learning-rate" in message
    assert "\n" not in message
    assert not (tmp_path / "head.npz").exists()


def test_a_validation_loss_that_is_no_number_ends_it_too(tmp_path):
    """The training loss may still look well."""
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, network(activation=None), validation=constant(np.inf, 9))
    assert "nan in validation" in str(caught.value)


def test_every_example_is_seen_once_an_epoch_in_a_new_order(tmp_path):
    """A photo left out by chance is a photo lost, and one order for all epochs teaches less."""
    seen = {}

    def at(some, epoch):
        seen.setdefault(epoch, []).append(some)
        return np.zeros((len(some), FEATURES), np.float32)

    train = Examples(at, np.arange(50) % CLASSES, np.ones(50, np.float32))
    run(tmp_path, train=train, epochs=3)
    # Keras looks at some batches beforehand, to learn their shapes.
    rounds = [np.concatenate(batches) for _, batches in sorted(seen.items())]
    orders = [order[-50:] for order in rounds if len(order) >= 50]
    assert len(orders) == 3
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(50))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])


def test_measuring_always_looks_at_the_same(tmp_path):
    """Validation photos that changed from epoch to epoch would choose the luckiest epoch."""
    inputs, labels = points(20, 2)
    seen = []

    def at(some, epoch):
        seen.append((epoch, some.tolist()))
        return inputs[some]

    run(tmp_path, validation=Examples(at, labels, np.ones(20, np.float32)), epochs=3)
    assert {epoch for epoch, _ in seen} == {0}
    assert all(some == [*range(20)] for _, some in seen)


def test_weights_say_what_an_example_counts(tmp_path):
    """A rare class must not be drowned by the others."""
    rng = np.random.default_rng(0)
    count = 120
    inputs = rng.normal(0, 0.01, (count, FEATURES)).astype(np.float32)
    labels = np.where(np.arange(count) < 100, 0, 1)
    answers = []
    for name, rare in (("even", 1.0), ("rare", 20.0)):
        (tmp_path / name).mkdir()
        model = network()
        counted = np.where(labels == 1, rare, 1.0).astype(np.float32)
        train = Examples(lambda some, epoch: inputs[some], labels, counted)
        run(tmp_path / name, model, train=train, validation=None, epochs=8)
        answers.append(np.asarray(model(inputs[:1], training=False))[0])
    assert answers[0].argmax() == 0
    assert answers[1].argmax() == 1


def test_smoothed_targets_keep_the_network_from_certainty(tmp_path):
    scores = []
    for name, smoothing in (("hard", 0.0), ("soft", 0.3)):
        (tmp_path / name).mkdir()
        model = network()
        run(
            tmp_path / name,
            model,
            train=examples(90, 1, 0.05),
            epochs=20,
            label_smoothing=smoothing,
        )
        inputs, _ = points(90, 1, 0.05)
        scores.append(np.asarray(model(inputs, training=False)).max(axis=1).mean())
    assert scores[0] > 0.97
    assert scores[1] < 0.9


def test_the_rate_rises_for_an_epoch_and_then_falls(tmp_path):
    """Trained weights would jump at Adam's first steps, and never settle at the end."""
    rates = []

    class Look(keras().callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    run(tmp_path, callbacks=[Look()], epochs=5, learning_rate=0.01)
    steps = 6
    assert len(rates) == 5 * steps
    peak = int(np.argmax(rates))
    assert abs(peak - steps) <= 1
    assert rates[peak] == pytest.approx(0.01, rel=1e-3)
    assert rates[0] < 0.3 * rates[peak]
    assert np.all(np.diff(rates[peak:]) <= 0)
    assert rates[-1] < 0.1 * rates[peak]


def test_one_epoch_trains_too(tmp_path):
    """Its rate has no epoch left to fall in."""
    model = network()
    before = weights(model)
    fitted, _ = run(tmp_path, model, epochs=1)
    assert fitted.finished
    assert len(fitted.epochs) == 1
    assert not same(before, weights(model))


def test_the_state_is_one_whole_file(tmp_path):
    """What is written every epoch is renamed into place: a kill leaves the one before."""
    run(tmp_path, epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["head.npz"]
    with np.load(tmp_path / "head.npz", allow_pickle=False) as archive:
        document = json.loads(str(archive["document"]))
    assert len(document["epochs"]) == 2
    assert document["finished"]


def test_seconds_are_those_of_all_epochs():
    rows = [Epoch("head", i, 1.0, 0.5, None, None, 0.25) for i in range(4)]
    assert Fitted(rows, 3, True).seconds == 1.0
    assert Fitted().seconds == 0
