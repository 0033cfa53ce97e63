"""A folder of one's own images."""

import os
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from small_data import png

from fedlearn_helpers.data import load as load_module
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.data.folder import list_images, read_images
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
    again = read_images(list_images(tmp_path))
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


def test_path_may_start_with_a_tilde(flat, monkeypatch):
    monkeypatch.setenv("HOME", str(flat.parent))
    assert len(load_dataset("~/images").train_images) == 12


def count_reads(monkeypatch):
    """Return a list that grows with every data set that is decoded."""
    calls = []
    monkeypatch.setattr(load_module, "read_images", lambda listing: calls.append(1) or read_images(listing))
    return calls


def test_second_load_comes_from_the_cache_until_a_file_changes(flat, monkeypatch):
    calls = count_reads(monkeypatch)
    first, second = load_dataset(str(flat)), load_dataset(str(flat))
    assert len(calls) == 1 and bool((first.train_images == second.train_images).all())
    save(flat / "red" / "new.png", RED)
    assert len(load_dataset(str(flat)).train_images) == 13
    assert len(calls) == 2


def test_files_that_are_no_images_are_counted(flat):
    (flat / "notes.txt").write_text("bought in May")
    for number in range(3):
        (flat / "red" / f"{number}.HEIC").write_bytes(b"from a telephone")
    (flat / "green" / "LICENCE").write_text("")
    save(flat / "cover.png", RED)
    dataset = load_dataset(str(flat))
    assert len(dataset.train_images) == 12
    assert dataset.origin.endswith(
        "RGB. Not used: images outside of class folders (1), "
        "files that are read as no images (3 .heic, 1 .txt, 1 without an ending)."
    )


def test_of_other_files_the_newest_count_is_said(flat):
    load_dataset(str(flat))
    (flat / "notes.txt").write_text("bought in May")
    assert "1 .txt" in load_dataset(str(flat)).origin


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


def test_a_class_of_other_files_is_refused_by_their_kinds(flat):
    (flat / "blue").mkdir()
    for number in range(12):
        (flat / "blue" / f"{number}.heic").write_bytes(b"from a telephone")
    assert_refused(flat, "images in every class folder", f"{str(flat / 'blue')!r} with none but 12 .heic")


def test_a_folder_of_other_files_alone(tmp_path):
    (tmp_path / "scans" / "a").mkdir(parents=True)
    (tmp_path / "scans" / "a" / "1.dcm").write_bytes(b"DICM")
    assert_refused(tmp_path / "scans", "which has no images but 1 .dcm")


# Splits ---------------------------------------------------------------------------------


def make(folder, **counts):
    """Make folders such as `train__red=3`, with so many images in them."""
    for name, count in counts.items():
        path = folder.joinpath(*name.split("__"))
        path.mkdir(parents=True, exist_ok=True)
        colour = {"red": RED, "green": GREEN}.get(path.name, BLUE)
        for number in range(count):
            save(path / f"{number}.png", colour)
    return folder


def sizes(dataset):
    return len(dataset.train_images), len(dataset.test_images)


@pytest.mark.parametrize("train", ["train", "Training"])
@pytest.mark.parametrize("test", ["test", "TEST", "testing", "eval", "Evaluation"])
def test_all_usual_names_of_a_test_set_are_understood(tmp_path, train, test):
    parts = {f"{part}__{label}": count for part, count in ((train, 3), (test, 2)) for label in ("red", "green")}
    dataset = load_dataset(str(make(tmp_path, **parts)))
    assert dataset.class_names == ("green", "red") and sizes(dataset) == (6, 4)
    assert dataset.origin.startswith(f"Images of {tmp_path}; centre-cropped")
    assert_colours(dataset.test_images, dataset.test_labels, [GREEN, RED])


@pytest.mark.parametrize("validation", ["val", "Valid", "validation", "dev"])
def test_without_a_test_set_the_one_for_validation_takes_its_place(tmp_path, validation):
    parts = {f"{part}__{label}": count for part, count in (("train", 3), (validation, 2)) for label in ("red", "green")}
    dataset = load_dataset(str(make(tmp_path, **parts)))
    assert dataset.class_names == ("green", "red") and sizes(dataset) == (6, 4)
    assert dataset.origin.startswith(f"Images of {tmp_path}, '{validation}' taken as the test set; centre-cropped")


def test_with_a_test_set_the_one_for_validation_is_not_used_and_it_is_said(tmp_path):
    make(tmp_path, train__red=3, train__green=3, val__red=5, val__blue=2, test__red=1, test__green=2)
    dataset = load_dataset(str(tmp_path))
    assert sizes(dataset) == (6, 3)
    assert dataset.origin.endswith("RGB. Not used: the folder 'val' (images: 7).")


def test_a_train_folder_alone_is_split_and_it_is_said(tmp_path):
    dataset = load_dataset(str(make(tmp_path, train__red=10, train__green=5)))
    assert dataset.class_names == ("green", "red") and sizes(dataset) == (12, 3)
    assert dataset.origin.startswith(f"Images of {tmp_path / 'train'}, a fifth of each class kept for testing; ")


def test_other_folders_beside_a_split_are_named(tmp_path):
    make(tmp_path, train__red=2, train__green=2, test__red=1, test__green=1, papers=1)
    (tmp_path / "labels.csv").write_text("")
    dataset = load_dataset(str(tmp_path))
    assert sizes(dataset) == (4, 2)
    assert dataset.origin.endswith(
        "Not used: the folder 'papers' (images: 1), files that are read as no images (1 .csv)."
    )


def test_a_class_may_be_called_train(tmp_path):
    dataset = load_dataset(str(make(tmp_path, bus=4, train=4, dev=4)))
    assert dataset.class_names == ("bus", "dev", "train")
    shutil.rmtree(tmp_path / "dev")
    (tmp_path / "train_").mkdir()
    for name in ("bus", "train"):
        shutil.move(tmp_path / name, tmp_path / "train_" / name)
    (tmp_path / "train_").rename(tmp_path / "train")
    assert load_dataset(str(tmp_path)).class_names == ("bus", "train")


NO_SPLIT = {
    "a test set alone": ({"test__red": 2, "test__green": 2}, "folder 'train' to learn from, got 'test'"),
    "validation and test": ({"val__a": 2, "val__b": 2, "test__a": 2, "test__b": 2}, "got 'test', 'val'"),
    "two names of one part": (
        {"train__a": 2, "Training__b": 2, "test__a": 2},
        "one folder each to train, validate and test, got 'Training', 'test', 'train'",
    ),
    "images without classes": ({"train": 3, "test": 2}, "with no folders in 'test', 'train'"),
    "a test set without classes": ({"train__a": 3, "train__b": 3, "test": 2}, "which has no folders"),
    "an empty test set": ({"train__a": 3, "train__b": 3, "test": 0}, "which has no folders"),
    "a folder around": ({"images__red": 2, "images__green": 2}, "which holds folders (green, red) and no images"),
    "folders in a class": ({"red__2020": 2, "red__2021": 2, "green": 2}, "which holds folders (2020, 2021)"),
    "a split in a folder": ({"all__train__red": 2, "all__test__red": 2}, "which holds folders (test, train)"),
    "unpacked twice": ({"train__train__a": 2, "test__test__a": 2}, "which holds folders (a) and no images"),
    "an unusual name": ({"train__a": 2, "train__b": 2, "holdout__a": 2, "test__a": 2}, "same classes in train and te"),
}


@pytest.mark.parametrize("kind", NO_SPLIT)
def test_what_is_no_layout_is_refused_with_what_was_expected(tmp_path, kind):
    parts, says = NO_SPLIT[kind]
    assert_refused(make(tmp_path / "images", **parts), says)


def test_folders_in_a_class_that_has_images_belong_to_it(tmp_path):
    dataset = load_dataset(str(make(tmp_path, red=4, red__more=4, green=4)))
    assert dataset.class_names == ("green", "red") and sizes(dataset) == (9, 3)


# Hidden files ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["", "red", "red/more", "train"])
@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints/1-checkpoint.png",
        ".ipynb_checkpoints/",
        "__MACOSX/red/._1.png",
        "@eaDir/1.png/thumb.jpg",
        ".DS_Store",
        "._1.png",
        ".hidden.png",
        "Thumbs.db",
        "desktop.ini",
        "$RECYCLE.BIN/1.png",
    ],
)
def test_what_is_hidden_is_no_class_and_no_image(tmp_path, place, name):
    if place == "train":
        make(tmp_path, train__red=4, train__green=4, test__red=2, test__green=2)
    else:
        make(tmp_path, red=4, red__more=1, green=4)
    expected = load_dataset(str(tmp_path))
    hidden = tmp_path / place / name
    if name.endswith("/"):
        hidden.mkdir(parents=True)
    else:
        hidden.parent.mkdir(parents=True, exist_ok=True)
        hidden.write_bytes(b"no image at all")
    dataset = load_dataset(str(tmp_path))
    assert (dataset.class_names, sizes(dataset)) == (("green", "red"), sizes(expected))
    assert dataset.origin == expected.origin and "Not used" not in dataset.origin


def test_a_folder_may_be_hidden_itself(tmp_path):
    dataset = load_dataset(str(make(tmp_path / ".data", red=4, green=4)))
    assert sizes(dataset) == (6, 2)


# Links ----------------------------------------------------------------------------------

links = pytest.mark.skipif(sys.platform == "win32", reason="needs rights to make links")


@links
@pytest.mark.parametrize("linked", ["classes", "files", "a folder in a class", "the whole"])
def test_links_are_followed_and_what_is_behind_them_is_part_of_the_key(tmp_path, monkeypatch, linked):
    pool, folder = make(tmp_path / "pool", red=4, green=4), tmp_path / "images"
    if linked == "the whole":
        folder.symlink_to(pool)
    elif linked == "classes":
        folder.mkdir()
        for name in ("red", "green"):
            (folder / name).symlink_to(pool / name)
    elif linked == "files":
        for path in pool.glob("*/*.png"):
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            (folder / path.parent.name / path.name).symlink_to(path)
    else:
        make(folder, red=1, green=1)
        for name in ("red", "green"):
            (folder / name / "more").symlink_to(pool / name)
    calls = count_reads(monkeypatch)
    first, again = load_dataset(str(folder)), load_dataset(str(folder))
    assert first.class_names == ("green", "red") and len(first.train_images) == (8 if "a folder" in linked else 6)
    assert sizes(first) == sizes(again) and len(calls) == 1
    for path in pool.glob("*/*.png"):  # as large as before, and as old
        before = path.stat()
        save(path, BLUE)
        content = path.read_bytes()
        path.write_bytes(content + bytes(max(before.st_size - len(content), 0)))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    replaced = load_dataset(str(folder))
    assert len(calls) == 2 and (replaced.train_images[-1, :, 0, 0].tolist()) == list(BLUE)


@links
def test_a_link_that_is_moved_to_another_class_changes_its_label(tmp_path):
    pool = make(tmp_path / "pool", red=4, green=4)
    folder = make(tmp_path / "images", red=0, green=0)
    for path in pool.glob("*/*.png"):
        (folder / path.parent.name / f"{path.parent.name}{path.name}").symlink_to(path)
    assert load_dataset(str(folder)).train_labels.bincount().tolist() == [3, 3]
    for name in ("red0.png", "red1.png"):
        (folder / "red" / name).rename(folder / "green" / name)
    assert load_dataset(str(folder)).train_labels.bincount().tolist() == [5, 1]


@links
@pytest.mark.parametrize("target", ["", "red", "red/deep"])
def test_a_link_in_a_circle_is_one_sentence(tmp_path, target):
    folder = make(tmp_path / "images", red__deep=2, red=2, green=2)
    (folder / "red" / "deep" / "back").symlink_to(folder / target)
    assert_refused(folder, "a link that leads in a circle", str(folder / "red" / "deep" / "back"))


@links
@pytest.mark.parametrize("name", ["blue", "red/4.png", "red/self.png"])
def test_a_link_that_leads_nowhere_is_one_sentence(tmp_path, name):
    folder = make(tmp_path / "images", red=2, green=2)
    (folder / name).symlink_to(folder / name if "self" in name else tmp_path / "gone")
    assert_refused(folder, "a link that leads nowhere", str(folder / name))


@links
def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(tmp_path):
    folder = make(tmp_path, red=2, green=2)
    os.mkfifo(folder / "red" / "9.png")
    assert sizes(load_dataset(str(folder))) == (2, 2)


def test_images_that_change_places_are_read_again_though_size_and_time_are_the_same(tmp_path):
    for label, colour in (("a", RED), ("b", GREEN)):
        for number in range(2):
            path = tmp_path / label / f"{number}.bmp"
            save(path, colour)
            os.utime(path, ns=(0, 10**18))
    before = load_dataset(str(tmp_path)).train_images[:, :, 0, 0].tolist()
    for number in range(2):
        one, other, spare = tmp_path / "a" / f"{number}.bmp", tmp_path / "b" / f"{number}.bmp", tmp_path / "spare"
        one.rename(spare), other.rename(one), spare.rename(other)
    assert before == [list(RED), list(GREEN)]
    assert load_dataset(str(tmp_path)).train_images[:, :, 0, 0].tolist() == before[::-1]


# Names ----------------------------------------------------------------------------------

not_utf8 = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="all names are Unicode there")


@not_utf8
def test_a_class_whose_name_is_not_utf8_is_refused_in_text_that_can_be_printed(tmp_path):
    folder = make(tmp_path / "images", red=2, green=2)
    os.rename(os.fsencode(folder / "red"), os.fsencode(folder) + b"/caf\xe9")
    with pytest.raises(InputError) as caught:
        load_dataset(str(folder))
    assert str(caught.value).startswith("dataset must have names of classes in UTF-8, got '")
    assert "caf\\\\xe9'; rename the folder" in str(caught.value).encode().decode()


@not_utf8
def test_an_image_whose_name_is_not_utf8_is_read_and_can_be_named(tmp_path):
    folder = make(tmp_path / "images", red=2, green=2)
    name = os.fsencode(folder) + b"/red/caf\xe9.png"
    os.rename(os.fsencode(folder / "red" / "0.png"), name)
    assert sizes(load_dataset(str(folder))) == (2, 2)
    with open(name, "wb") as file:
        file.write(b"no image")
    with pytest.raises(InputError, match="cannot be read: .*caf\\\\xe9.png ") as caught:
        load_dataset(str(folder))
    str(caught.value).encode()


@not_utf8
def test_an_accent_written_in_two_ways_is_one_name(tmp_path):
    """A Mac writes the letter and the accent apart."""
    for part, name in (("train", "caf\u00e9"), ("test", "cafe\u0301")):
        for number in range(2):
            save(tmp_path / part / name / f"{number}.png", RED)
            save(tmp_path / part / "bar" / f"{number}.png", GREEN)
    assert load_dataset(str(tmp_path)).class_names == ("bar", "caf\u00e9")


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = make(tmp_path / "images", red=2, green=2)

    def listdir(path, listdir=os.listdir):
        if str(path).endswith("red"):
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert_refused(folder, f"a folder that cannot be read: {folder / 'red'} (Permission denied)")
