"""What publishers really send is read whole: every cell, against readers that we did not write."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from include import tables
from include.registry import Extract

DATA = Path(
    os.environ.get("STATEWIDE_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
).resolve()

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the real extracts are not at {DATA.name}: set STATEWIDE_TEST_DATA"
)

# Some of Connecticut's have two tables, one under the other.
STACKED = sorted(str(path.relative_to(DATA)) for path in DATA.glob("ct/*/revenue-*_all.csv"))
CSVS = sorted({str(path.relative_to(DATA)) for path in DATA.glob("**/*.csv")} - {*STACKED})


def extract(columns, **told) -> Extract:
    return Extract(
        **{
            "group": "reference",
            "description": "a real file",
            "school_years": [2019],
            "source": "any",
            "key": [next(iter(columns))],
            "rows": (0, 10**7),
            "columns": columns,
            **told,
        }
    )


def read(name: str, declared: Extract, tmp_path: Path) -> tuple[tables.Table, pd.DataFrame]:
    table = tables.read(declared, DATA / name, tmp_path / "table.parquet")
    with duckdb.connect() as connection:
        frame = connection.execute("select * from read_parquet(?)", [str(table.path)]).df()
    return table, frame.astype(object).where(frame.notna(), None)


def plain(cell: str) -> str:
    """A cell as we promise it, told in another way than the code does."""
    cell = cell.strip()
    if cell.startswith('="') and cell.endswith('"'):
        cell = cell[1:].strip('"').strip()
    return cell


def records(name: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of a CSV by Python's reader; none of these files breaks a line in quotes."""
    content = (DATA / name).read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError:
        lines = content.decode("windows-1252").splitlines(keepends=True)
    # Some of Connecticut's wrapped cells have a comma in them, and are not quoted for it.
    reader = csv.reader(re.sub(r'(^|,)="([^"]*)"', r'\1"\2"', line) for line in lines)
    found = []
    before = 0
    for cells in reader:
        found.append((before + 1, [plain(cell) for cell in cells]))
        before = reader.line_num
    return found


@pytest.mark.parametrize("name", CSVS)
def test_every_cell_of_a_csv_is_read(name, tmp_path):
    found = records(name)
    # The header is known to be the first line in all but Connecticut's, which have titles.
    starts = [["District"], ["Type"]] if name.startswith("ct/") else None
    at = next(i for i, (_, cells) in enumerate(found) if not starts or cells[:1] in starts)
    header = found[at][1]
    places = {name: i for i, name in reversed(list(enumerate(header)))}
    columns = {
        f"c{i}": [cell if cell and places[cell] == i else f"column_{i + 1}"]
        for i, cell in enumerate(header)
    }
    table, frame = read(name, extract(columns), tmp_path)

    width = len(header)
    expected = [
        [line, *(cell or None for cell in (cells + [""] * width)[:width])]
        for line, cells in found[at + 1 :]
        if any(cells)
    ]
    assert table.title_lines == found[at][0] - 1
    assert table.unknown_headers == table.missing_headers == ()
    assert frame.to_numpy(dtype=object).tolist() == expected


def test_traditional_schools_had_1434240_members_in_2019(tmp_path):
    columns = {
        "lea": ["lea"],
        "school": ["school"],
        "total": ["total"],
    }
    _, frame = read("nc/2019/ec_pupils.csv", extract(columns), tmp_path)

    # Totals of a thousand and more have separators, which are staging's to take off.
    assert len(frame) == 2504
    assert frame["total"].str.contains(",").sum() == 265
    assert frame["total"].str.replace(",", "").astype(int).sum() == 1_434_240


def test_footers_of_ratio_stay_and_its_blank_row_goes(tmp_path):
    columns = {"lea_no": ["lea_no"], "school_no": ["school_no"], "lea_name": ["lea_name"]}
    table, frame = read("nc/2018/ratio.csv", extract(columns), tmp_path)
    lines = (DATA / "nc/2018/ratio.csv").read_text().splitlines()

    assert not lines[-1].strip(",")
    assert table.rows == len(lines) - 2
    assert "TOTALS" in " ".join(filter(None, frame.iloc[-1, 1:]))


def test_connecticut_ids_lose_their_wrapping_and_keep_their_zeros(tmp_path):
    columns = {"district": ["District"], "code": ["District Code"], "students": ["Count"]}
    table, frame = read(
        "ct/2013-14/enrollment__2013-14_all-students.csv", extract(columns), tmp_path
    )

    assert (table.title_lines, frame["_row"][0]) == (4, 6)
    assert frame["code"].dropna().str.fullmatch(r"\d{7}").all()
    assert frame["code"].str.startswith("0").any()
    districts = frame[frame["district"] != "Total"]
    total = frame[frame["district"] == "Total"]
    assert total["code"].isna().all()
    masked = districts["students"] == "*"
    counted = districts.loc[~masked, "students"].astype(int).sum()
    assert (masked.sum(), counted) == (2, int(total["students"].item()) - 82)


@pytest.mark.parametrize("name", STACKED)
def test_two_tables_in_one_file_are_refused_where_the_second_begins(name, tmp_path):
    columns = {"district": ["District"], "local": ["Local"]}

    with pytest.raises(
        tables.Unreadable, match=r"row 19\d has 1 cell; expected 5; .* second table"
    ):
        read(name, extract(columns), tmp_path)


@pytest.mark.parametrize(
    ("name", "sheet", "titles"),
    [
        ("nc/workforce/cte_concentrators_2017-2022.xlsx", None, 0),
        ("nc/workforce/cte_concentrators_2017-2022.xlsx", "Sheet2", 0),
        ("nc/workforce/enrollment_1_year_after_graduation.xlsx", None, 1),
        ("nc/workforce/industry_projections_2021-2030.xlsx", None, 0),
        ("nc/workforce/oews_2022.xlsx", "DETAILOES", 0),
        ("nc/workforce/outcomes_1_year_after_graduation.xlsx", None, 1),
        ("nc/workforce/perkins_concentrators_by_state_2020-21.xlsx", None, 1),
        ("reference/ussd17.xls", None, 2),
    ],
)
def test_a_workbook_holds_what_pandas_finds_in_it(name, sheet, titles, tmp_path):
    theirs = pd.read_excel(
        DATA / name, sheet_name=sheet or 0, header=None, dtype=object, na_filter=False
    )
    header = [" ".join(str(cell).split()) for cell in theirs.iloc[titles]]
    header = [str(int(float(cell))) if cell.endswith(".0") else cell for cell in header]
    columns = {
        f"c{i}": [cell if cell and header.index(cell) == i else f"column_{i + 1}"]
        for i, cell in enumerate(header)
    }
    layout = {"format": Path(name).suffix[1:], "sheet": sheet}
    table, frame = read(name, extract(columns, layout=layout), tmp_path)

    def told(value):
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return str(value).strip() or None

    expected = [
        [row + 1, *map(told, cells)]
        for row, cells in enumerate(theirs.to_numpy(dtype=object).tolist())
        if row > titles and any(map(told, cells))
    ]
    assert table.title_lines == titles
    assert table.unknown_headers == table.missing_headers == ()
    assert frame.to_numpy(dtype=object).tolist() == expected


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        (
            "nc/reference/sd24-nc.txt",
            {
                "state_fips": (1, 2),
                "district": (4, 8),
                "name": (10, 81),
                "population": (83, 90),
                "children": (92, 99),
                "children_in_poverty": (101, 108),
            },
        ),
        (
            "nc/reference/est24-nc.txt",
            {"state_fips": (1, 2), "county_fips": (4, 6), "poor": (8, 15), "name": (194, 238)},
        ),
    ],
)
def test_a_fixed_width_file_holds_what_pandas_finds_in_it(name, positions, tmp_path):
    columns = {column: {"type": "text"} for column in positions}
    layout = {"format": "fixed", "positions": positions}
    table, frame = read(name, extract(columns, layout=layout), tmp_path)
    theirs = pd.read_fwf(
        DATA / name,
        colspecs=[(first - 1, last) for first, last in positions.values()],
        header=None,
        dtype=str,
    )

    assert table.rows == len(theirs) == len((DATA / name).read_text().splitlines())
    assert frame.iloc[:, 1:].to_numpy().tolist() == theirs.to_numpy().tolist()
    numbers = [column for column in positions if "name" not in column]
    assert frame[numbers].apply(pd.to_numeric).notna().all(axis=None)
