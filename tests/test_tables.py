"""Every sin of a publisher's file is read as a person would read it, or named and refused."""

from __future__ import annotations

import codecs
import io
import struct
import zipfile
from datetime import date, datetime
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from include import tables
from include.registry import Extract
from include.tables import delimited, headers, parquet, text, workbooks


def extract(columns=None, layout=None, **told) -> Extract:
    """An extract of two identifiers and a count, unless told otherwise."""
    columns = columns or {
        "lea": ["LEA", "District Code"],
        "school": ["School"],
        "students": ["Students", "Student Count"],
    }
    return Extract(
        **{
            "group": "enrollment",
            "description": "membership",
            "school_years": [2019],
            "source": "membership.csv",
            "key": [next(iter(columns))],
            "rows": (0, 1000),
            "columns": columns,
            "layout": layout or {},
            **told,
        }
    )


@pytest.fixture
def read(tmp_path):
    """Reads bytes as an extract, and gives the table and its rows."""

    def read_bytes(content: bytes | str, declared: Extract | None = None):
        source = tmp_path / "landed"
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        table = tables.read(declared or extract(), source, tmp_path / "out" / "table.parquet")
        return table, rows_of(table.path)

    return read_bytes


def rows_of(path: Path) -> list[tuple]:
    with duckdb.connect() as connection:
        return connection.execute("select * from read_parquet(?)", [str(path)]).fetchall()


def rejected(read, content, declared=None) -> str:
    with pytest.raises(tables.Unreadable) as refusal:
        read(content, declared)
    return str(refusal.value)


PLAIN = "LEA,School,Students\n010,300,212\n020,304,9\n"
ROWS = [(2, "010", "300", "212"), (3, "020", "304", "9")]


# What every file becomes


def test_a_table_is_text_in_declared_order_with_the_row_of_the_file(read):
    table, rows = read("Students,LEA,School\n212,010,300\n9,020,304\n")

    assert rows == ROWS
    with duckdb.connect() as connection:
        described = connection.execute(
            "select name, type from (describe from read_parquet(?)) t(name, type, a, b, c, d)",
            [str(table.path)],
        ).fetchall()
    assert described == [
        ("_row", "BIGINT"),
        ("lea", "VARCHAR"),
        ("school", "VARCHAR"),
        ("students", "VARCHAR"),
    ]
    assert (table.rows, table.encoding, table.title_lines) == (2, "utf-8", 0)
    assert table.unknown_headers == table.missing_headers == ()


def test_the_same_bytes_give_the_same_parquet(read, tmp_path):
    first = read(PLAIN)[0].path.read_bytes()

    assert read(PLAIN)[0].path.read_bytes() == first
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table.parquet"]


def test_a_refused_file_leaves_the_last_table_and_no_part(read, tmp_path):
    read(PLAIN)
    rejected(read, "LEA,School,Students\n010,300\n")

    assert rows_of(tmp_path / "out" / "table.parquet") == ROWS
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["table.parquet"]


def test_cells_are_trimmed_and_keep_zeros_and_thousands_separators(read):
    _, rows = read('LEA,School,Students\n 010 ,\t300,"1,434"\n')

    assert rows == [(2, "010", "300", "1,434")]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ('="010"', "010"),
        ('"=""2880013"""', "2880013"),
        ('=""2880013""', "2880013"),
        ('" =""010 "" "', "010"),
        ('"="""""', None),
        ("=010", "=010"),
        ('"=""a"" & ""b"""', '="a" & "b"'),
    ],
)
def test_a_cell_wrapped_to_survive_a_spreadsheet_is_unwrapped(read, cell, value):
    _, rows = read(f"LEA,School,Students\n{cell},300,1\n")

    assert rows == [(2, value, "300", "1")]


def test_a_delimiter_inside_a_wrapped_cell_does_not_split_it(read):
    _, rows = read('LEA,School,Students\n="North, Inc.",="A,B,C",1\n')

    assert rows == [(2, "North, Inc.", "A,B,C", "1")]
    assert "row 2 has 4 cells" in rejected(read, 'LEA,School,Students\n="North,Inc,2,3\n')


def test_blank_cells_and_declared_tokens_are_null(read):
    _, rows = read("LEA,School,Students\n010,,N/A\n020, ,*\n", extract(nulls=["N/A"]))

    assert rows == [(2, "010", None, None), (3, "020", None, "*")]


def test_a_label_given_once_is_the_label_of_the_rows_below_it(read, monkeypatch):
    monkeypatch.setattr(parquet, "PIECE_CELLS", 6)
    declared = extract(
        {"lea": {"headers": ["LEA"], "fill_down": True}, "school": ["School"], "n": ["N"]}
    )
    # Lone carriage returns, so that the rows come in pieces of two.
    _, rows = read("LEA,School,N\r,1,1\rA,2,\r,3,\r,4,9\r\rB,5,\r,6,", declared)

    assert [row[1:] for row in rows] == [
        (None, "1", "1"),
        ("A", "2", None),
        ("A", "3", None),
        ("A", "4", "9"),
        ("B", "5", None),
        ("B", "6", None),
    ]


def test_repairs_are_made_on_what_was_in_the_file_and_counted(read):
    repairs = {"49": "49E", "049": "49", "N/A": "000"}
    declared = extract(
        {"lea": {"headers": ["LEA"], "repairs": repairs}, "school": ["School"]}, nulls=["N/A"]
    )
    table, rows = read("LEA,School\n49,1\n049,N/A\n 49 ,3\nN/A,4\n", declared)

    assert [row[1] for row in rows] == ["49E", "49", "49E", "000"]
    assert rows[1][2] is None
    assert table.repaired == {"lea": 4}


def test_rows_without_any_cell_are_no_rows_and_footers_stay(read):
    _, rows = read("LEA,School,Students\n010,300,212\n,,\n\n  \n020,304,9\nTotal,,221\n\n")

    assert rows == [(2, "010", "300", "212"), (6, "020", "304", "9"), (7, "Total", None, "221")]


def test_a_row_that_has_only_cells_we_do_not_load_is_a_row(read):
    declared = extract(ignored=["Note"])
    _, rows = read("LEA,School,Students,Note\n,,,see below\n,,,\n", declared)

    assert rows == [(2, None, None, None)]


def test_a_header_without_rows_is_an_empty_table(read):
    for content in ("LEA,School,Students\n", "LEA,School,Students", "LEA,School,Students\n\n"):
        table, rows = read(content)

        assert (table.rows, rows) == (0, [])


# Headers


def test_headers_are_matched_after_trimming_and_folding_and_any_declared_one_will_do(read):
    table, rows = read(
        '  District \n Code ,="School",Student  Count\n1,2,3\n'.replace("\n C", " C")
    )

    assert rows == [(2, "1", "2", "3")]
    assert table.unknown_headers == ()


def test_an_unknown_and_a_missing_header_are_reported_and_the_column_is_null(read):
    table, rows = read("LEA,school,Students\n010,300,212\n")

    assert rows == [(2, "010", None, "212")]
    assert table.unknown_headers == ("school",)
    assert table.missing_headers == ("School",)


def test_an_ignored_header_is_not_unknown_and_an_optional_one_not_missing(read):
    declared = extract(
        {"lea": ["LEA"], "region": {"headers": ["Region"], "optional": True}}, ignored=["Note"]
    )
    table, rows = read("LEA,Note,Note\n010,x,y\n", declared)

    assert rows == [(2, "010", None)]
    assert table.unknown_headers == table.missing_headers == ()


def test_a_blank_header_is_named_by_its_place_if_anything_stands_under_it(read):
    table, _ = read("LEA,,School,Students,\n010,x,300,212,\n020,,304,9,\n")

    assert table.unknown_headers == ("column_2",)


def test_a_header_is_data_and_never_sql(read):
    hostile = 'x"; drop table t; --'
    table, rows = read(PLAIN.replace("School", '"x""; drop table t; --"'))

    assert table.unknown_headers == (hostile,)
    assert rows[0] == (2, "010", None, "212")


@pytest.mark.parametrize("first", ["LEA,District Code", "LEA,LEA"])
def test_two_headers_for_one_column_are_refused_by_name(read, first):
    message = rejected(read, f"{first},Students\n1,2,3\n")

    assert repr(first.split(",")[1]) in message
    assert "both stand for lea" in message


def test_one_of_two_headers_of_the_same_name_is_declared_by_its_place(read):
    content = "LEA,School,School,Students\n010,300,old,212\n"
    table, rows = read(content, extract(ignored=["column_3"]))

    assert rows == [(2, "010", "300", "212")]
    assert table.unknown_headers == ()


TITLES = '"Student Counts, LEA"\r\n"All Districts"\r\n"2018-19"\r\n\r\n'


@pytest.mark.parametrize("title_lines", [None, 4])
def test_title_lines_before_the_header_are_skipped(read, title_lines):
    declared = extract(layout={"title_lines": title_lines})
    table, rows = read(TITLES + PLAIN.replace("\n", "\r\n"), declared)

    assert rows == [(6, "010", "300", "212"), (7, "020", "304", "9")]
    assert table.title_lines == 4


def test_the_header_is_the_line_with_most_known_headers(read):
    table, rows = read("LEA,Students by\n,,\nLEA,School,Students\n010,300,212\n")

    assert rows == [(4, "010", "300", "212")]
    assert table.title_lines == 2


def test_without_half_of_the_headers_the_first_line_is_taken_and_told(read):
    table, rows = read("District,Building,Students\n010,300,212\n")

    assert rows == [(2, None, None, "212")]
    assert table.unknown_headers == ("District", "Building")
    assert table.missing_headers == ("LEA or District Code", "School")


PERSONAL = {
    "student": {"headers": ["student_id"], "personal": True},
    "name": {"headers": ["name"], "personal": True},
    "grade": ["grade"],
}


def test_a_file_about_people_without_its_header_shows_nobody(read):
    table, _ = read(
        "900000017,Pupil Seventeen,07\n900000018,Pupil Eighteen,08\n", extract(PERSONAL)
    )

    assert table.unknown_headers == ("column_1", "column_2", "column_3")
    assert table.missing_headers == ("student_id", "name", "grade")


# Encodings and lines


@pytest.mark.parametrize(
    ("encoding", "mark", "found"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", codecs.BOM_UTF8, "utf-8"),
        ("windows-1252", b"", "windows-1252"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "utf-16-le"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "utf-16-be"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
    ],
)
def test_the_encoding_is_found(read, encoding, mark, found):
    content = mark + PLAIN.replace("300", "Cañón “A”").encode(encoding)
    table, rows = read(content)

    assert rows == [(2, "010", "Cañón “A”", "212"), ROWS[1]]
    assert table.encoding == found


@pytest.mark.parametrize(
    ("declared", "written", "mark"),
    [
        ("latin-1", "latin-1", b""),
        ("utf-8-sig", "utf-8", codecs.BOM_UTF8),
        ("utf-16", "utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16", "utf-16-le", b""),
        ("cp437", "cp437", b""),
    ],
)
def test_a_declared_encoding_is_kept_to(read, declared, written, mark):
    content = mark + PLAIN.replace("300", "Cañón").encode(written)
    _, rows = read(content, extract(layout={"encoding": declared}))

    assert rows[0] == (2, "010", "Cañón", "212")


def test_half_an_encoding_is_refused_with_its_line(read):
    content = PLAIN.replace("300", "Cañón").encode() + "030,Peña,1\n".encode("windows-1252")

    assert "line 4 is not UTF-8, though characters before it are" in rejected(read, content)
    assert "line 4" in rejected(read, content, extract(layout={"encoding": "utf-8"}))


def test_a_file_that_ends_inside_a_character_is_cut_short(read):
    content = PLAIN.replace("300", "Cañón").encode() + "030,Peñ".encode()[:-1]

    assert "ends inside a character" in rejected(read, content)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way(read, newline):
    assert read(PLAIN.replace("\n", newline))[1] == ROWS
    assert read(PLAIN.replace("\n", newline).rstrip())[1] == ROWS


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_line_break_inside_quotes_keeps_the_rows_at_their_lines(read, newline):
    content = 'LEA,School,Students\n010,"North\nHigh",212\n\n020,304,"9\n"\n030,305,8\n'
    _, rows = read(content.replace("\n", newline))

    assert rows == [
        (2, "010", f"North{newline}High", "212"),
        (5, "020", "304", "9"),
        (7, "030", "305", "8"),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", "¦"])
def test_the_delimiter_is_the_declared_one(read, delimiter):
    declared = extract(layout={"delimiter": delimiter})
    _, rows = read(PLAIN.replace(",", delimiter).replace("300", "3,00"), declared)

    assert rows == [(2, "010", "3,00", "212"), ROWS[1]]


def test_surplus_cells_are_fine_while_they_are_blank(read):
    _, rows = read("LEA,School,Students\n010,300,212,,\n020,304,9, \n")

    assert rows == ROWS


def test_a_declared_footer_may_be_short(read):
    content = PLAIN + "Source: state office\n"
    declared = extract(footers=[{"lea": "Source: state office"}])

    assert read(content, declared)[1] == [*ROWS, (4, "Source: state office", None, None)]
    assert "row 4 has 1 cell;" in rejected(read, content)


# What is refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \r\n\n", "only blank lines"),
        (b"\xef\xbb\xbf", "only blank lines"),
        (b"\n\n<!DOCTYPE html><html><body>Not here</body></html>", "an HTML or XML page"),
        (codecs.BOM_UTF8 + b"<?xml version='1.0'?><Error/>", "an HTML or XML page"),
        ("<html>".encode("utf-16"), "an HTML or XML page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an .xls workbook"),
        (b"PK\x03\x04" + bytes(100), "a zip archive or an .xlsx workbook"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x1f\x8b\x08\x00", "a gzip archive"),
        (PLAIN.encode() + b"030,\x00\x00,1\n", "line 4 holds a NUL byte"),
        (PLAIN.encode() + b"030,\x81,1\n", "line 4 holds bytes that are no text"),
        (PLAIN.encode() + b"030,305,1,7\n040,306,2\n", "row 4 has 4 cells; expected 3"),
        (PLAIN.encode() + b"030,305\n040,306,2\n", "row 4 has 2 cells; expected 3"),
        (PLAIN.encode() + b"030,30", "row 4 has 2 cells; expected 3; it is the last one"),
        (PLAIN.encode() + b'030,"305,8\n040,306,8\n', "quote opened in row 4 is not closed"),
        (PLAIN.encode() + b'5" pipe,1,1\n030,"30', "quote opened in row 5 is not closed"),
        (b'LEA,"School,Students\n010,300,212\n', "quote opened in row 1 is not closed"),
    ],
)
def test_what_cannot_be_read_is_named(read, content, reason):
    message = rejected(read, content)

    assert reason in message
    assert message.startswith("landed: ")
    assert message.count(";") >= 2, "found, expected, what to do"


def test_a_file_without_line_breaks_is_refused_before_it_fills_memory(read, monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 1 << 10)
    monkeypatch.setattr(text, "LONGEST_LINE", 1 << 14)

    assert "no line break" in rejected(read, b"LEA," * (1 << 14))


@pytest.mark.parametrize(
    "damage",
    [
        "900000018,Pupil Eighteen\n900000019,Pupil Nineteen,09\n",
        '900000018,"Pupil Eighteen,08\n',
        "900000018,Pupil Eighteen,08,x\n",
        "900000018,Pupil Eighteen,\x00\n",
        "900000018,Eighteen Ñandú,08\n".encode() + "900000019,Eighteen Ñu,08\n".encode("latin-1"),
    ],
)
def test_a_refusal_never_quotes_a_person(read, damage):
    damage = damage.encode() if isinstance(damage, str) else damage
    with pytest.raises(tables.Unreadable) as refusal:
        read(b"student_id,name,grade\n900000017,Pupil Seventeen,07\n" + damage, extract(PERSONAL))

    error = refusal.value
    while error:
        assert "Eighteen" not in str(error)
        assert "90000001" not in str(error)
        error = error.__cause__ or error.__context__


# The two ways through


CSV_PARTS = st.sampled_from(
    ["a", "07", " ", ",", ",", ",", '"', '"', "\n", "\n", "\r\n", "\r", '=""x""', '="x"', "é", '""']
)


def outcome(split, declared, source, part):
    survey = text.survey(declared, source)
    # Not looked for, so that a quote left open in the first lines gets as far as the splitting.
    header = headers.find(declared, source, [(1, 1, list(declared.columns))])
    written = parquet.write(declared, header, split(declared, source, survey, header), part)
    return written, pq.read_table(part).to_pylist()


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(CSV_PARTS, max_size=40).map("".join), st.integers(1, 3), st.sampled_from([16, 4096])
)
@example('a,b,c\n"1\r\n2",",",""""\n\n', 3, 4096)
@example('a,"b', 2, 4096)
@example('a\n\n"\n', 1, 4096)
def test_both_ways_through_a_csv_give_the_same_table(tmp_path, body, width, piece):
    declared = extract({name: [name] for name in "pqr"[:width]}, nulls=["a"])
    source, part = tmp_path / "any.csv", tmp_path / "any.parquet"
    source.write_bytes((",".join("pqr"[:width]) + "\n" + body).encode())

    with pytest.MonkeyPatch.context() as patch:
        # Small pieces, so that rows and line breaks straddle them.
        patch.setattr(text, "PIECE_BYTES", piece)
        try:
            plain = outcome(delimited._plain, declared, source, part)
        except delimited._NotPlain:
            plain = None
        try:
            exact = outcome(delimited._exact, declared, source, part)
        except tables.Unreadable:
            exact = None

    event("plain" if plain else "exact" if exact else "refused")
    if plain is not None:
        assert plain == exact


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))] * 3),
        min_size=1,
        max_size=8,
    )
)
def test_a_written_csv_is_read_back_and_takes_the_fast_way(tmp_path, records):
    source, part = tmp_path / "any.csv", tmp_path / "any.parquet"
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in records]
    source.write_bytes(("p,q,r\n" + "\n".join(lines) + "\n").encode())
    declared = extract({name: [name] for name in "pqr"})

    plain = outcome(delimited._plain, declared, source, part)

    assert plain == outcome(delimited._exact, declared, source, part)


def test_a_file_of_many_pieces_is_whole_and_its_rows_are_at_their_lines(read, monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 1 << 12)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 1000)
    lines = [f'{i:05d},"{"a" if i % 7 else chr(10)}b",{i}' for i in range(5000)]
    table, rows = read("LEA,School,Students\n" + "\n".join(lines))

    assert [row[1] for row in rows] == [f"{i:05d}" for i in range(5000)]
    line = 2
    for i, row in enumerate(rows):
        assert row[0] == line
        line += 1 if i % 7 else 2
    assert pq.ParquetFile(table.path).num_row_groups == 5


# Fixed width


FIXED = {
    "layout": {
        "format": "fixed",
        "positions": {"state": (1, 2), "name": (4, 11), "children": (12, 16)},
    },
    "columns": {"state": [], "name": [], "children": {"headers": [], "type": "integer"}},
}


def test_fixed_width_counts_characters_from_one(read):
    table, rows = read("37 Peñasco    12\n37 Elm       345\n\n", extract(**FIXED))

    assert rows == [(1, "37", "Peñasco", "12"), (2, "37", "Elm", "345")]
    assert (table.unknown_headers, table.missing_headers) == ((), ())


def test_fixed_width_in_another_encoding_still_counts_characters(read):
    _, rows = read("37 Peñasco    12\r\n".encode("windows-1252"), extract(**FIXED))

    assert rows == [(1, "37", "Peñasco", "12")]


def test_a_fixed_line_may_lose_blanks_but_not_digits(read):
    content = "37 Elm       345\n37 Elm\n37 Oak        12\n"

    assert read(content, extract(**FIXED))[1][1] == (2, "37", "Elm", None)
    assert "row 2 has 15 characters" in rejected(
        read, content.replace("Elm\n", "Elm       34\n"), extract(**FIXED)
    )
    assert "row 3 has 6 characters" in rejected(read, content[:-11], extract(**FIXED))


def test_a_column_without_a_position_is_missing(read):
    declared = extract(FIXED["columns"] | {"region": ["region"]}, FIXED["layout"])

    assert read("37 Elm       345\n", declared)[0].missing_headers == ("region",)


# Workbooks


XLSX = {"format": "xlsx"}


def workbook(*rows, sheet="Data", formats=None) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(row)
    for cell, shape in (formats or {}).items():
        book.active[cell].number_format = shape
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_a_workbook_is_read_as_a_person_sees_it(read):
    content = workbook(
        ["Membership"],
        [],
        ["LEA", "School", "Students"],
        ["010", 2018.0, 0.25],
        [10, date(2018, 8, 27), True],
        [],
        [None, datetime(2018, 8, 27, 7, 30), 1434240],
        formats={"A5": "000"},
    )
    table, rows = read(content, extract(layout=XLSX))

    assert rows == [
        (4, "010", "2018", "0.25"),
        (5, "010", "2018-08-27", "TRUE"),
        (7, None, "2018-08-27 07:30:00", "1434240"),
    ]
    assert (table.title_lines, table.encoding, table.rows) == (2, None, 3)


def test_cells_beside_the_table_have_a_nameless_header(read):
    content = workbook(["LEA", "School", "Students"], ["010", "300"], ["020", "1", "2", None, "!"])
    table, rows = read(content, extract(layout=XLSX))

    assert rows == [(2, "010", "300", None), (3, "020", "1", "2")]
    assert table.unknown_headers == ("column_5",)


def test_the_sheet_is_the_declared_one_or_the_first(read):
    content = workbook(["LEA", "School", "Students"], ["010", "300", 212], sheet="2019")

    assert read(content, extract(layout=XLSX | {"sheet": "2019"}))[0].rows == 1
    message = rejected(read, content, extract(layout=XLSX | {"sheet": "2020"}))
    assert "has the sheets '2019'; expected '2020'" in message


def test_what_a_workbook_says_of_its_extent_is_not_believed(read):
    content = workbook(["LEA", "School", "Students"], ["010", "300", 212])
    lying = rezipped(content, "xl/worksheets/sheet1.xml", b'ref="A1:C2"', b'ref="A1:A1"')

    assert read(lying, extract(layout=XLSX))[1] == [(2, "010", "300", "212")]


def rezipped(content: bytes, member: str, old: bytes, new: bytes) -> bytes:
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            data = before.read(name)
            if name == member:
                assert old in data
                data = data.replace(old, new)
            after.writestr(name, data)
    return result.getvalue()


def test_a_damaged_workbook_is_refused(read):
    content = workbook(["LEA", "School", "Students"], *[[str(i), i, i] for i in range(500)])
    declared = extract(layout=XLSX)
    sheet = content.index(b"xl/worksheets/sheet1.xml") + 200

    assert "cut short" in rejected(read, content[: len(content) // 2], declared)
    damaged = content[:sheet] + bytes(20) + content[sheet + 20 :]
    assert "damaged or cut short" in rejected(read, damaged, declared)
    assert "text or unknown bytes" in rejected(read, PLAIN, declared)
    assert "an HTML or XML page" in rejected(read, "<html></html>", declared)
    assert "expected an .xls workbook" in rejected(read, content, extract(layout={"format": "xls"}))
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("rcd_adm.csv", PLAIN)
    assert "without a workbook" in rejected(read, empty.getvalue(), declared)
    assert "only blank lines" in rejected(read, workbook(), declared)


def test_a_workbook_made_to_fill_memory_is_not_opened(read, monkeypatch):
    content = workbook(["LEA", "School", "Students"], ["010", "300", 212])
    bomb = io.BytesIO(content)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", bytes(80 << 20))

    assert "refused for safety" in rejected(read, bomb.getvalue(), extract(layout=XLSX))
    for cap in ("MEMBERS", "BYTES", "HELD_BYTES", "CELLS"):
        with monkeypatch.context() as lower:
            lower.setattr(workbooks, cap, 5)
            assert "refused for safety" in rejected(read, content, extract(layout=XLSX))


def old_workbook(*rows: list) -> bytes:
    """A BIFF5 workbook of one sheet `Data`: text, floats, (float, format index), and booleans.

    Format 0 is general, 1 is `000`, 2 is a date. Nothing that we lock can write one.
    """

    def record(kind: int, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack("<HH", kind, len(body)) + body

    def brief(words: str) -> bytes:
        return struct.pack("<B", len(words)) + words.encode()

    start = {kind: record(0x809, struct.pack("<HHHH", 0x500, kind, 0, 0)) for kind in (5, 16)}
    font = record(0x31, struct.pack("<HHHHHBBBB", 200, 0, 32767, 400, 0, 0, 0, 0, 0), brief("A"))
    shapes = b"".join(
        record(0x41E, struct.pack("<H", 164 + i), brief(shape))
        for i, shape in enumerate(("General", "000", "yyyy-mm-dd"))
    )
    styles = b"".join(record(0xE0, struct.pack("<HH", 0, 164 + i), bytes(12)) for i in range(3))
    before = start[5] + record(0x42, struct.pack("<H", 1252)) + font * 5 + shapes + styles
    place = len(before) + len(record(0x85, bytes(6), brief("Data"))) + len(record(0x0A))
    sheet = start[16]
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            at = struct.pack("<HH", i, j)
            if isinstance(value, bool):
                sheet += record(0x205, at, struct.pack("<HBB", 0, value, 0))
            elif isinstance(value, str):
                length = struct.pack("<HH", 0, len(value))
                sheet += record(0x204, at, length, value.encode("windows-1252"))
            elif value is not None:
                number, shape = value if isinstance(value, tuple) else (value, 0)
                sheet += record(0x203, at, struct.pack("<Hd", shape, number))
    content = before + record(0x85, struct.pack("<IH", place, 0), brief("Data")) + record(0x0A)
    return content + sheet + record(0x0A)


def test_an_old_workbook_is_read_as_a_person_sees_it(read):
    content = old_workbook(
        ["Table with column headers in row 3"],
        [],
        ["LEA", "School", "Students"],
        ["010", "Cañón", 34015.0],
        [(10.0, 1), (43339.0, 2), True],
        [],
        [None, (43339.3125, 2), 0.25],
    )
    table, rows = read(content, extract(layout={"format": "xls"}))

    assert rows == [
        (4, "010", "Cañón", "34015"),
        (5, "010", "2018-08-27", "TRUE"),
        (7, None, "2018-08-27 07:30:00", "0.25"),
    ]
    assert (table.title_lines, table.encoding) == (2, None)


def test_a_damaged_old_workbook_is_refused(read):
    declared = extract(layout={"format": "xls"})
    start = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

    assert "damaged or cut short" in rejected(read, start + bytes(2000), declared)
    assert "text or unknown bytes" in rejected(read, PLAIN, declared)


# Memory


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "PIECE_BYTES", 1 << 16)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 10_000)
    peaks = []
    for rows in (50_000, 400_000):
        source = tmp_path / f"{rows}.csv"
        with source.open("w") as file:
            file.write("LEA,School,Students\n")
            file.writelines(f"{i % 997:03d},school number {i % 3001},{i}\n" for i in range(rows))
        pool = pa.proxy_memory_pool(pa.default_memory_pool())
        before = pa.default_memory_pool()
        pa.set_memory_pool(pool)
        try:
            table = tables.read(extract(), source, tmp_path / "table.parquet")
        finally:
            pa.set_memory_pool(before)
        assert table.rows == rows
        peaks.append(pool.max_memory())

    assert peaks[1] < 2 * peaks[0]
