#!/usr/bin/env python3
"""Reads events.out.tfevents.golden with TensorBoard's own reader and checks what it sees.

usage: python3 read_events.py             (needs `pip install tensorboard`)
       python3 read_events.py RUN         a folder that `d2l train --tensorboard` wrote: its gradients

The unit test of src/tensorboard holds the writer to the same bytes. After a change of them, run it with
D2L_WRITE_GOLDEN=1 and then this.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main():
    if len(sys.argv) > 1:
        read_run(Path(sys.argv[1]))
        return
    file = Path(__file__).with_name("events.out.tfevents.golden")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(file, folder)
        # 0: keep all there is.
        events = EventAccumulator(folder, size_guidance={"scalars": 0, "histograms": 0, "images": 0})
        events.Reload()
    # The newer form of all kinds is tensors, which the reader makes of the older form.
    tags = events.Tags()
    assert sorted(tags["scalars"]) == ["accuracy/test", "gradient_norm", "loss/step"], tags
    loss = [(event.step, event.value, event.wall_time) for event in events.Scalars("loss/step")]
    time = 1_700_000_000.25
    # The first step 3 was purged by the restart.
    assert loss == [(1, 1.0, time), (2, 0.5, time), (3, 0.25, time)], loss
    accuracy = [(event.step, event.value) for event in events.Scalars("accuracy/test")]
    assert accuracy == [(300, 0.875)], accuracy
    norm = [(event.step, event.value) for event in events.Scalars("gradient_norm")]
    assert norm == [(300, 2.5)], norm
    gradients = [(event.step, event.histogram_value) for event in events.Histograms("gradients/a")]
    assert [step for step, _ in gradients] == [300], gradients
    value = gradients[0][1]
    assert (value.min, value.max, value.num, value.sum, value.sum_squares) == (-1.5, 2.0, 3.0, 0.5, 6.25), value
    assert sum(value.bucket) == 3, value
    # The same restart purged these of step 3: so the file is read once more without it below.
    assert "weights/a" not in tags["histograms"] or events.Histograms("weights/a") == [], tags
    everything = read_all(file)
    histogram = everything["weights/a"].histo
    assert (histogram.min, histogram.num, len(histogram.bucket)) == (0.0, 100.0, 30), histogram
    assert abs(histogram.max - 9.9) < 1e-6 and abs(histogram.sum - 495) < 1e-3, histogram
    assert sum(histogram.bucket) == 100 and list(histogram.bucket_limit) == sorted(histogram.bucket_limit)
    constant = everything["weights/constant"].histo
    assert (constant.min, constant.max, constant.num, sum(constant.bucket)) == (0.5, 0.5, 2.0, 2.0), constant
    image = everything["pictures/red"].image
    assert (image.width, image.height) == (1, 1) and image.encoded_image_string.startswith(b"\x89PNG"), image
    print(f"{file}: TensorBoard reads what was written")


def read_run(folder):
    """The gradients of a run: a histogram per learned parameter and epoch, at the epoch's last step, and norms."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    events.Reload()
    tags = events.Tags()
    ends = [event.step for event in events.Scalars("loss/train")]
    gradients = [tag for tag in tags["histograms"] if tag.startswith("gradients/")]
    assert gradients, tags
    for tag in gradients:
        assert tag.replace("gradients/", "parameters/", 1) in tags["histograms"], tag
        assert [event.step for event in events.Histograms(tag)] == ends, tag
    norms = {event.step: event.value for event in events.Scalars("gradient_norm")}
    assert sorted(norms) == [event.step for event in events.Scalars("loss/step")], norms
    for index, step in enumerate(ends):
        squares = sum(events.Histograms(tag)[index].histogram_value.sum_squares for tag in gradients)
        if step in norms:
            assert abs(squares**0.5 / norms[step] - 1) < 1e-5, (step, squares, norms[step])
    print(f"{folder}: TensorBoard reads {len(gradients)} gradients of {len(ends)} epochs and {len(norms)} norms")


def read_all(file):
    """Every summary value by its tag, as the reader of files gives them, checksums checked."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    events = list(LegacyEventFileLoader(str(file)).Load())
    assert events[0].file_version == "brain.Event:2", events[0]
    return {value.tag: value for event in events for value in event.summary.value}


if __name__ == "__main__":
    main()
