"""Folders of tables: what is read, what is refused, and where the message says it is."""

import json
import os
import sys
import unicodedata

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.tables import HEART, Column, Schema, SiteTable, load_heart, load_sites, save_sites

HEADER = "age,sex,grade,died"
SCHEMA = {
    "columns": [
        {"name": "age", "kind": "number", "unit": "years", "lowest": 0, "highest": 120,
         "other_units": [["days", 0.00274]]},
        {"name": "sex", "kind": "yes-no", "meaning": "whether male"},
        {"name": "grade", "kind": "category", "allowed": [1, 2, 3]},
    ],
    "label": {"name": "died", "kind": "yes-no"},
}  # fmt: skip
ROWS = [[60.5, 1.0, 2.0], [np.nan, 0.0, np.nan], [45.0, np.nan, 1.0]]
PLAIN = f"{HEADER}\n60.5,1,2,1\n,0,?,0\n45,NA,1,1\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    return tmp_path


def load_one(folder, content, name="Basel.csv"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (site,) = load_sites(folder)
    return site


def refused(folder, content=None, name="Basel.csv"):
    """Return the message's lines below the first, or what stands behind the first colon where there is one line."""
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        load_sites(folder)
    first, *lines = str(caught.value).split("\n")
    return [line.strip() for line in lines] or [first.partition(f"{str(folder)!r} must fit their schema: ")[2] or first]


# What is read -----------------------------------------------------------------------------


def test_hospitals_by_name():
    assert [site.name for site in load_sites("heart")] == [site.name for site in load_heart()]


def same(first, second):
    assert (first.name, first.schema) == (second.name, second.schema)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.labels, second.labels)


@pytest.mark.parametrize("columns", [HEART.names, ("chol", "cp", "sex")])
def test_what_is_saved_is_read_again(tmp_path, columns):
    sites = [site.only(columns) for site in load_heart()]
    save_sites(sites, tmp_path / "new" / "folder")
    for site, again in zip(sites, load_sites(tmp_path / "new" / "folder"), strict=True):
        same(site, again)


def test_numbers_are_saved_to_the_last_bit_and_names_as_they_are(tmp_path):
    schema = Schema(
        (Column("weight, in kg", "number"), Column('"x";\ty', "number", zero_means_missing=True)), HEART.label
    )
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, 2)) * 10.0 ** rng.integers(-300, 300, size=(40, 2))
    names = ("Basel, Süd", "a.b", "heart", "schema", "Ōsaka 大阪", "“odd” #1 & co.", "-1")
    sites = [SiteTable(name, schema, values * (1 + k), np.arange(40) % 2) for k, name in enumerate(names)]
    save_sites(sites, tmp_path)
    for site, again in zip(sorted(sites, key=lambda site: site.name), load_sites(tmp_path), strict=True):
        same(site, again)


@pytest.mark.parametrize(
    "names",
    [
        ("a;b;c", "d"),
        ("a;b",),
        ("a\tb\tc", "d"),
        ("a\tb", "c;d"),
        ("a,b", 'q"q'),
        ("1", "2"),
        ("a\n;;b", "c"),
        ("sep=;",),
    ],
)
def test_names_with_separators_are_read_again(tmp_path, names):
    schema = Schema(tuple(Column(name, "number") for name in names), Column("y", "yes-no"))
    site = SiteTable("Basel", schema, np.arange(2.0 * len(names)).reshape(2, -1) + 0.5, [0, 1])
    save_sites([site], tmp_path)
    same(load_sites(tmp_path)[0], site)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("of_header", ["NFC", "NFD"])
def test_a_column_has_the_same_name_on_every_system(folder, form, of_header):
    composed = unicodedata.normalize("NFC", "größe")
    schema = json.dumps(SCHEMA, ensure_ascii=False).replace("age", unicodedata.normalize(form, composed))
    (folder / "schema.json").write_text(schema, encoding="utf-8")
    site = load_one(folder, PLAIN.replace("age", unicodedata.normalize(of_header, composed)))
    assert site.schema.names == (composed, "sex", "grade") and site.column(composed)[0] == 60.5
    assert Column(unicodedata.normalize(form, composed), "number").name == composed


def test_a_folder_without_a_schema_has_the_hearts_columns(tmp_path):
    save_sites(load_heart()[:1], tmp_path)
    (tmp_path / "schema.json").unlink()
    same(load_sites(str(tmp_path))[0], load_heart()[0])
    (tmp_path / "Basel.csv").write_text(PLAIN)
    says = str(pytest.raises(InputError, load_sites, tmp_path).value)
    assert "without a schema.json the columns are those of 'heart'" in says and "lacks the columns 'cp'" in says


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", ";").replace("60.5", "60,5"),
        PLAIN.replace(",", "\t").replace("60.5", "60,5"),
        PLAIN.replace("60.5", '"60.5"').replace("age", '"age"'),
        PLAIN.replace("60.5", " +6.05e1 ").replace(HEADER, " age , sex,grade ,died "),
        PLAIN.replace("\n", "\n\n,,,\n") + "\n\n,,,\n",
        "died,grade,age,sex\n1,2,60.5,1\n0,nan,,0\n1,1,45.0,\n",
        "sep=;\n" + PLAIN.replace(",", ";"),
        b"\xef\xbb\xbf" + b"SEP=,\r\n" + PLAIN.replace("\n", "\r\n").encode(),
        '"sep=\t"\n' + PLAIN.replace(",", "\t"),
        "sep=,\n" + PLAIN.replace(",", ";"),
        ";;;\n" + PLAIN.replace(",", ";"),
    ],
)
def test_files_as_programs_write_them(folder, content):
    site = load_one(folder, content)
    np.testing.assert_array_equal(site.values, ROWS)
    assert site.labels.tolist() == [1, 0, 1] and site.name == "Basel"
    assert site.schema.names == ("age", "sex", "grade") and site.schema.columns[0].highest == 120


def test_one_class_alone_is_allowed_and_so_is_a_column_without_values(folder):
    site = load_one(folder, f"{HEADER}\n50,,1,1\n60,,2,1\n")
    assert site.labels.tolist() == [1, 1] and np.isnan(site.column("sex")).all()


def test_zeros_are_missing_where_the_schema_says_so(folder):
    content = json.loads(json.dumps(SCHEMA))
    content["columns"][0]["zero_means_missing"] = True
    (folder / "schema.json").write_text(json.dumps(content))
    site = load_one(folder, f"{HEADER}\n0,0,1,0\n60,0,2,1\n")
    np.testing.assert_array_equal(site.values, [[np.nan, 0, 1], [60, 0, 2]])


def test_hidden_files_are_no_sites(folder):
    for name in (".DS_Store", "._Basel.csv", ".~lock.Basel.csv#", "~$Basel.csv", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"\0\1")
    (folder / ".ipynb_checkpoints").mkdir()
    assert load_one(folder, PLAIN, "Basel.CSV").name == "Basel"


def test_a_site_has_the_same_name_on_every_system(folder):
    assert load_one(folder, PLAIN, "Zu\u0308rich.csv").name == "Z\u00fcrich"


# What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "Basel.csv is empty"),
        (b" \n\n", "Basel.csv is empty"),
        (b"\xef\xbb\xbf", "Basel.csv is empty"),
        (b",,,\n,,,\n", "Basel.csv is empty"),
        (b"sep=;\n", "Basel.csv is empty"),
        ("sep=;\n" + PLAIN.replace(",", ";").replace("60.5", "600"),
         "Basel.csv, row 2, age: must be 0 to 120 years, got 600"),
        (PLAIN.replace(",", "|"), ["Basel.csv lacks the columns 'age', 'sex', 'grade', 'died'",
                                   "Basel.csv has the unknown column 'age|sex|grade|died'; those"]),
        (HEADER, "Basel.csv has no rows below its header"),
        (HEADER + "\n,,,\n", "Basel.csv has no rows below its header"),
        (PLAIN.encode("utf-16"), "Basel.csv must be text in UTF-8, got byte 0xff"),
        (PLAIN.replace("age", "größe").encode("latin-1"), "Basel.csv must be text in UTF-8, got byte 0xf6"),
        ("50,1,2,0\n60,1,1,0", "Basel.csv, row 1: must be a header with the names age, sex, grade, died, got numbers"),
        (PLAIN.replace("age", "Age"),
         ["Basel.csv lacks the column 'age'",
          "Basel.csv has the unknown column 'Age'; those of the schema are age, sex, grade, died"]),
        (PLAIN.replace("age", ""), "Basel.csv, row 1: column 1 must have a name"),
        (PLAIN.replace("age", "sex"), "Basel.csv, sex: must be there once, got 2 times"),
        ("age,sex,died\n50,1,0", "Basel.csv lacks the column 'grade'"),
        (f"{HEADER}\n50,1,2\n", "Basel.csv, row 2: must have 4 cells, as the header has, got 3"),
        (f"{HEADER}\n50,1,2,0\n50,5,1,2,0\n", "Basel.csv, row 3: must have 4 cells, as the header has, got 5"),
        (f"{HEADER}\n50,1,2,0\n\nold,1,2,0\n?,1,2,1\nyoung,1,2,0",
         "Basel.csv, row 4, age: must be a finite number, got 'old' (and in 1 more row)"),
        (f"{HEADER}\ninf,1,2,0\n", "Basel.csv, row 2, age: must be a finite number, got 'inf'"),
        (f"{HEADER}\n1e999,1,2,0\n", "Basel.csv, row 2, age: must be a finite number, got '1e999'"),
        (f"{HEADER}\n1_0,1,2,0\n", "Basel.csv, row 2, age: must be a finite number, got '1_0'"),
        (f"{HEADER}\n０５,1,2,0\n", "Basel.csv, row 2, age: must be a finite number, got '０５'"),
        (f'{HEADER}\n"50,5",1,2,0\n', "Basel.csv, row 2, age: must be a finite number, got '50,5'"),
        (f"{HEADER}\n1.050,5;1;2;0\n".replace(HEADER, HEADER.replace(",", ";")),
         "Basel.csv, row 2, age: must be a finite number, got '1.050,5'"),
        ("age;sex;grade;died\n50,5;1;2;0\n50.5;1;2;0\n",
         "Basel.csv must have decimal points or commas, not both: row 3, age: got '50.5'; row 2, age: got '50,5'"),
        (f"{HEADER}\n{'x' * 500},1,2,0\n",
         "Basel.csv, row 2, age: must be a finite number, got 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        (f"{HEADER}\n150,1,2,0\n", "Basel.csv, row 2, age: must be 0 to 120 years, got 150"),
        (f"{HEADER}\n50,2,2,0\n50,1,2,0\n", "Basel.csv, row 2, sex: must be 0 or 1, got 2"),
        (f"{HEADER}\n50,male,2,0\n", "Basel.csv, row 2, sex: must be a finite number, got 'male'"),
        (f"{HEADER}\n50,1,2,0\n50,1,1.5,0\n", "Basel.csv, row 3, grade: must be one of 1, 2, 3, got 1.5"),
        (f"{HEADER}\n" + "18250,1,2,0\n21900,1,2,0\n" * 3,
         "Basel.csv, age: must be in years, 0 to 120 years, got a median of 20075, which is plausible in days: "
         "multiply by 0.00274"),
        (f"{HEADER}\n50,1,2,0\n50,1,2,3\n50,1,2,4",
         "Basel.csv, row 3, died: the label must be 0 or 1, got 3 (and in 1 more row)"),
        (f"{HEADER}\n50,1,2,\n", "Basel.csv, row 2, died: the label must be 0 or 1, got none"),
        (f"{HEADER}\n50,1,2,NaN\n", "Basel.csv, row 2, died: the label must be 0 or 1, got none"),
        (f"{HEADER}\n50,1,2,yes\n", "Basel.csv, row 2, died: must be a finite number, got 'yes'"),
        (f"{HEADER}\n?,NA,,0\n,,,1", "Basel.csv has no value in any column"),
        (f'{HEADER}\n"50,1,2,0\n', "Basel.csv must be a CSV file, got Error: unexpected end of data"),
        (f"{HEADER}\n{'9' * 200_000},1,2,0\n", "Basel.csv must be a CSV file, got Error: field larger than"),
        (f"{HEADER}\n5\0,1,2,0\n", "Basel.csv, row 2, age: must be a finite number, got '5\\x00'"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_by_name_row_and_column(folder, content, says):
    found = refused(folder, content)
    says = [says] if isinstance(says, str) else says
    assert len(found) == len(says) and all(line.startswith(start) for line, start in zip(found, says, strict=True))
    assert max(map(len, found)) < 200


def test_cholesterol_in_mmol_per_litre(tmp_path):
    site = load_heart()[0]
    values = site.values.copy()
    values[:, HEART.position("chol")] = (values[:, HEART.position("chol")] / 38.67).round(1)
    save_sites([site, SiteTable("Basel", HEART, values, site.labels)], tmp_path)
    (line,) = refused(tmp_path)
    assert line == (
        "Basel.csv, chol: must be in mg/dl, 50 to 700 mg/dl, got a median of 6.2, which is plausible in mmol/l: "
        "multiply by 38.67"
    )


def test_problems_of_several_sites_are_listed_up_to_ten(folder):
    for site in range(6):
        (folder / f"{site}.csv").write_text(f"{HEADER}\n150,1,2,0\n50,5,2,0\n")
    (folder / "fine.csv").write_text(PLAIN)
    lines = refused(folder)
    assert lines[0] == "0.csv, row 2, age: must be 0 to 120 years, got 150"
    assert lines[1] == "0.csv, row 3, sex: must be 0 or 1, got 5"
    assert len(lines) == 11 and lines[-1] == "and 2 more"


def test_a_copy_of_a_file_is_no_further_site(folder):
    rows = [f"{age},1,2,{age % 2}\n" for age in range(50, 55)] + [",1,2,0\n"]
    (folder / "Basel.csv").write_text(f"{HEADER}\n{''.join(rows)}")
    (folder / "Basel (1).csv").write_text(f"{HEADER}\n{''.join(rows)}".replace(",", ";").replace("50", "50.0"))
    (folder / "Bern.csv").write_text(f"{HEADER}\n{''.join(rows)}".replace("50,", "51,"))
    says = "sites must have rows of their own, got the same ones in 'Basel' and 'Basel (1)': is one a copy"
    assert refused(folder)[0].startswith(says)
    (folder / "Basel (1).csv").write_text(f"{HEADER}\n{''.join(rows[::-1])}")
    sites = load_sites(folder)
    assert [site.name for site in sites] == ["Basel", "Basel (1)", "Bern"]
    twice = [*sites, SiteTable("Biel", sites[0].schema, sites[0].values, sites[0].labels)]
    with pytest.raises(InputError, match="the same ones in 'Basel' and 'Biel'"):
        save_sites(twice, folder / "new")
    save_sites([site.rows(np.arange(4)) for site in twice], folder / "few rows")  # may be alike by chance
    assert len(load_sites(folder / "few rows")) == 4


def test_what_is_no_site_is_refused_by_name(folder):
    (folder / "Basel.csv").write_text(PLAIN)
    (folder / "Bern.xlsx").write_bytes(b"PK")
    (folder / "old").mkdir()
    (folder / "sub.csv").mkdir()
    (folder / "lost.csv").symlink_to(folder / "nowhere")
    assert refused(folder) == [
        "'Bern.xlsx' is another file",
        "'lost.csv' is a link that leads nowhere",
        "'old' is a folder",
        "'sub.csv' is a folder",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let such names be")
def test_names_that_cannot_be_a_sites_are_refused(folder):
    for name in (b"a\nb.csv", b"\xff.csv", b"x.csv", b"x.CSV"):
        with open(os.path.join(os.fsencode(folder), name), "w") as file:
            file.write(PLAIN)
    assert refused(folder) == [
        "'a\\nb.csv' has characters that cannot be printed, or no name",
        "'x.csv' and 'x.CSV' are both of the site 'x'",
        "'\\udcff.csv' has characters that cannot be printed, or no name",
    ]


@pytest.mark.parametrize("path", ["", "/nowhere", "~nobody", "\0", None, 3, [], "Heart"])
def test_a_folder_that_is_none_is_refused(path):
    with pytest.raises(InputError, match="sites must be 'heart' or the path of a folder of CSV files, got "):
        load_sites(path)


def test_a_folder_without_sites_is_refused(folder):
    with pytest.raises(InputError, match="sites must have at least one CSV file, got none in"):
        load_sites(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(folder):
    (folder / "Basel.csv").write_text(PLAIN)
    (folder / "Basel.csv").chmod(0)
    assert refused(folder)[0].startswith("Basel.csv cannot be read: PermissionError")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "must be a JSON file, got JSONDecodeError"),
        (b"\xff", "must be a JSON file, got UnicodeDecodeError"),
        ("[" * 100_000, "must be a JSON file, got RecursionError"),
        ("[]", 'must be {"columns"'),
        (
            json.dumps(SCHEMA).replace('"highest": 120', '"highest": 120, "highest": 40'),
            "has no schema: 'highest' is there twice",
        ),
        (json.dumps(SCHEMA)[:-1] + ', "label": {"name": "sex", "kind": "yes-no"}}', "'label' is there twice"),
        ({"columns": []}, 'must be {"columns"'),
        ({**SCHEMA, "more": 1}, 'must be {"columns"'),
        ({**SCHEMA, "columns": []}, "has no schema: columns must have at least one column"),
        ({**SCHEMA, "columns": [3]}, "a column must have a name and a kind, got 3"),
        ({**SCHEMA, "label": "died"}, "a column must have a name and a kind, got 'died'"),
        ({**SCHEMA, "label": {"name": "died"}}, "a column must have a name and a kind"),
        ({**SCHEMA, "label": {"name": "age", "kind": "yes-no"}}, "got 'age' twice"),
        ({**SCHEMA, "label": {"name": "died", "kind": "number"}}, "label must be of kind 'yes-no'"),
        *(
            ({**SCHEMA, "columns": [{"name": "age", "kind": "number", **part}]}, says)
            for part, says in [
                ({"range": [0, 1]}, "what is said of column 'age' must be of name, kind, .*, got 'range'"),
                ({"kind": "float"}, "kind of column 'age' must be 'number', 'category', 'yes-no', got 'float'"),
                ({"name": 3}, "name of column 3 must be text, got 3"),
                ({"lowest": "0"}, "lowest of column 'age' must be a finite number, got '0'"),
                ({"lowest": True}, "lowest of column 'age' must be a finite number, got True"),
                ({"highest": float("nan")}, "highest of column 'age' must be a finite number, got nan"),
                ({"highest": 10**400}, "highest of column 'age' must be a finite number, got 1000"),
                ({"lowest": 3, "highest": 2}, "lowest of column 'age' must be <= 2, got 3"),
                ({"allowed": ["a"]}, "allowed of column 'age' must be a list of numbers"),
                ({"allowed": [1, 2]}, "allowed of column 'age' must be the codes of a category"),
                ({"zero_means_missing": 1}, "zero_means_missing of column 'age' must be true or false, got 1"),
                ({"other_units": {"days": 365}}, "other_units of column 'age' must be a list"),
                ({"other_units": [["days", 0]]}, "factor of 'days' of column 'age' must be a number > 0, got 0"),
                ({"kind": "yes-no", "lowest": 5, "highest": 6}, "highest and other_units of column 'age' must be left"),
                ({"other_units": [["days"]]}, "other_units of column 'age' must be a list such as"),
            ]
        ),
    ],
)
def test_a_schema_file_that_is_none_is_refused(folder, content, says):
    encoded = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (folder / "schema.json").write_bytes(encoded)
    (folder / "Basel.csv").write_text(PLAIN)
    with pytest.raises(InputError, match=says) as caught:
        load_sites(folder)
    assert str(folder / "schema.json") in str(caught.value) and len(str(caught.value)) < 500


def test_tables_that_cannot_be_saved_are_refused(tmp_path):
    site = load_heart()[0]
    values, labels = site.values, site.labels
    for name in ("a/b", "a\\b", ".hidden", "~$x", "what?", "desktop.ini"):
        with pytest.raises(InputError, match="name of a site must be one that a file can have"):
            save_sites([SiteTable(name, HEART, values, labels)], tmp_path)
    with pytest.raises(InputError, match="sites must have names of their own, got 'Basel' and 'basel'"):
        save_sites([SiteTable(name, HEART, values, labels) for name in ("Basel", "basel")], tmp_path)
    with pytest.raises(InputError, match="sites must have one schema, got another one for 'Hungary' than 'Cleveland'"):
        save_sites([site, load_heart()[1].only(["age"])], tmp_path)
    with pytest.raises(InputError, match="sites must be at least one table to save, got none"):
        save_sites([], tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="folder must be one that can be written"):
        save_sites([site], tmp_path / "file")
    with pytest.raises(InputError, match="folder must be one that can be written"):
        save_sites([SiteTable("x" * 300, HEART, values, labels)], tmp_path / "new")
