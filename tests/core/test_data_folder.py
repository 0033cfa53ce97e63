"""A folder of one's own images."""

import numpy as np
import pytest
from PIL import Image
from small_data import png

from fedlearn_helpers.data import load_dataset, sources
from fedlearn_helpers.errors import InputError

RED, GREEN, BLUE = (200, 10, 20), (30, 180, 40), (50, 60, 220)


def save(path, colour, size=(32, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def flat(tmp_path):
    """Ten red and five green images, one sub-folder each."""
    folder = tmp_path / "images"
    for i in range(10):
        save(folder / "red" / f"{i}.png", RED)
    for i in range(5):
        save(folder / "green" / f"{i}.png", GREEN)
    return folder


@pytest.fixture
def split(tmp_path):
    """A folder that has its own test set."""
    folder = tmp_path / "images"
    for part, count in (("train", 3), ("test", 2)):
        for i in range(count):
            save(folder / part / "red" / f"{i}.png", RED)
            save(folder / part / "green" / f"{i}.png", GREEN)
    return folder


def assert_colours(images, labels, colours):
    """Check that every image has, all over, the colour of its label."""
    for image, label in zip(images.numpy(), labels.tolist(), strict=True):
        np.testing.assert_array_equal(image, np.broadcast_to(np.reshape(colours[label], (3, 1, 1)), (3, 32, 32)))


def assert_refused(folder, *words):
    """Check that the folder gives one sentence about `dataset` with these words in it."""
    with pytest.raises(InputError) as caught:
        load_dataset(str(folder))
    message = str(caught.value)
    assert message.startswith("dataset ") and "\n" not in message
    for word in words:
        assert word in message


def test_flat_folder_keeps_a_fifth_of_each_class_for_testing(flat):
    dataset = load_dataset(str(flat))
    assert dataset.class_names == ("green", "red")
    assert dataset.train_labels.bincount().tolist() == [4, 8]
    assert dataset.test_labels.bincount().tolist() == [1, 2]
    assert_colours(dataset.train_images, dataset.train_labels, [GREEN, RED])
    assert_colours(dataset.test_images, dataset.test_labels, [GREEN, RED])
    assert "a fifth of each class" in dataset.origin and str(flat) in dataset.origin


def test_every_image_of_a_flat_folder_is_used_once(tmp_path):
    for label in ("a", "b"):
        for i in range(10):
            save(tmp_path / label / f"{i}.png", (i + 1, 100 if label == "a" else 200, 0))
    dataset = load_dataset(str(tmp_path))
    seen = [tuple(image[:, 0, 0].tolist()) for part in (dataset.train_images, dataset.test_images) for image in part]
    assert len(seen) == 20 and len(set(seen)) == 20
    again = sources.read_folder(tmp_path)
    np.testing.assert_array_equal(again.test_images, dataset.test_images.numpy(), err_msg="always the same split")


def test_folder_with_its_own_test_set(split):
    dataset = load_dataset(str(split))
    assert (len(dataset.train_images), len(dataset.test_images)) == (6, 4)
    assert_colours(dataset.train_images, dataset.train_labels, [GREEN, RED])
    assert_colours(dataset.test_images, dataset.test_labels, [GREEN, RED])


def test_images_are_cropped_to_their_centre_and_scaled(tmp_path):
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = RED
    tall = np.zeros((90, 30, 3), np.uint8)
    tall[30:60] = RED
    for i, pixels in enumerate((wide, tall)):
        for part in ("train", "test"):
            path = tmp_path / part / "red" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(pixels))
            save(tmp_path / part / "blue" / f"{i}.jpg", BLUE, size=(7, 5))
    dataset = load_dataset(str(tmp_path))
    assert dataset.image_shape == (3, 32, 32)
    red = dataset.train_images[dataset.train_labels == 1].numpy()
    assert len(red) == 2
    np.testing.assert_array_equal(red[:, :, 4:28, 4:28], np.broadcast_to(np.reshape(RED, (3, 1, 1)), (2, 3, 24, 24)))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16"])
def test_other_kinds_of_pixels_become_rgb(tmp_path, mode):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(2):
            Image.new(mode, (16, 16)).save(tmp_path / label / f"{i}.png")
    assert load_dataset(str(tmp_path)).image_shape == (3, 32, 32)


def test_path_may_start_with_a_tilde(flat, monkeypatch):
    monkeypatch.setenv("HOME", str(flat.parent))
    assert len(load_dataset("~/images").train_images) == 12


def test_second_load_comes_from_the_cache_until_a_file_changes(flat, monkeypatch):
    calls = []
    monkeypatch.setattr(
        sources, "read_folder", lambda folder, read=sources.read_folder: calls.append(1) or read(folder)
    )
    first, second = load_dataset(str(flat)), load_dataset(str(flat))
    assert len(calls) == 1 and bool((first.train_images == second.train_images).all())
    save(flat / "red" / "new.png", RED)
    assert len(load_dataset(str(flat)).train_images) == 13
    assert len(calls) == 2


def test_files_that_are_no_images_are_ignored(flat):
    (flat / "notes.txt").write_text("bought in May")
    (flat / "red" / ".DS_Store").write_bytes(b"\0")
    assert len(load_dataset(str(flat)).train_images) == 12


def test_one_class_is_too_few(tmp_path):
    save(tmp_path / "images" / "only" / "0.png", RED)
    assert_refused(tmp_path / "images", "at least 2 classes", "['only']")


def test_no_images(tmp_path):
    (tmp_path / "images" / "red").mkdir(parents=True)
    assert_refused(tmp_path / "images", "one sub-folder of images per class", str(tmp_path / "images"), "no images")


def test_images_without_class_folders(tmp_path):
    save(tmp_path / "images" / "0.png", RED)
    assert_refused(tmp_path / "images", str(tmp_path / "images"))


def test_one_image_per_class_leaves_none_for_testing(tmp_path):
    for label in ("a", "b"):
        save(tmp_path / "images" / label / "0.png", RED)
    assert_refused(tmp_path / "images", "at least 2 images")


def test_empty_class_folder(flat):
    (flat / "blue").mkdir()
    assert_refused(flat, "every class folder", "blue")


def test_classes_that_differ_between_train_and_test(split):
    save(split / "test" / "blue" / "0.png", BLUE)
    assert_refused(split, "same classes in train and test", "['green', 'red']", "['blue', 'green', 'red']")


def corrupt_png_chunk():
    """Return a PNG file that opens and fails only while its pixels are read, with a SyntaxError."""
    content = bytearray(png(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)))
    content[content.rfind(b"IDAT")] = 0xFF
    return bytes(content)


UNREADABLE = {
    "text": ("bad.png", b"this is no image"),
    "empty": ("bad.jpg", b""),
    "cut short": ("bad.png", png(np.zeros((64, 64, 3), np.uint8))[:60]),
    "broken inside": ("bad.png", corrupt_png_chunk()),
    "a broken header": ("bad.ppm", b"P6\nx y\n255\n"),
    "larger than memory": ("bad.ppm", b"P6\n100000 100000\n255\n"),
}


@pytest.mark.parametrize(("name", "content"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_unreadable_image_is_named(flat, cache, name, content):
    (flat / "red" / name).write_bytes(content)
    assert_refused(flat, "cannot be read", str(flat / "red" / name))
    assert list(cache.iterdir()) == []
