"""The contract of the standard extracts as a page for a state's engineer, drawn from their YAML.

`python -m include.standard.contract > docs/standard-extracts.md` writes it anew.
"""

from __future__ import annotations

import yaml

from include import contradictions
from include.registry import STANDARD, Column, Extract

# The order in which an engineer meets them: organizations, students, programs, staff, money.
ORDER = (
    "directory",
    "lea_reference",
    "identification",
    "student_enrollment",
    "graduation_cohort",
    "cte_enrollment",
    "cte_outcome",
    "work_based_learning",
    "work_ethic",
    "staff_assignment",
    "finance_ledger",
    "labor_market",
)

# What nothing here looks at, by the extract that it is about.
ACROSS_ROWS = {
    "directory": (
        "Every `parent_org_id` is an LEA of the same file.",
        "An `nces_id` belongs to one organization; a school's starts with its LEA's.",
    ),
    "lea_reference": (
        "Every `lea_id` is an LEA of the directory.",
        "LEAs of one county have the same `county_square_miles`.",
    ),
    "identification": ("Every `org_id` is a school of the directory.",),
    "student_enrollment": (
        "Attributes of one student do not contradict each other on rows of the same day.",
    ),
    "graduation_cohort": (
        "A student is in one cohort, the same one in every year.",
        "Who had graduated in last year's file has graduated in this one.",
    ),
    "cte_enrollment": (
        "`prior_courses` of a program is the same in all its rows of a student, and never falls.",
        "A `program` has one `cip` and one `cluster`.",
    ),
    "work_based_learning": ("An employer has one `employer_id`, in `cte_outcome` as well.",),
    "work_ethic": ("Every standard of the version has a row for each student who takes part.",),
}
# What is looked at in the marts of a build, and reported.
IN_MARTS = {
    "cte_outcome": (
        "`is_concentrator` against two completed courses of the program in `cte_enrollment`: the "
        "table `cte_concentrator_discrepancy` lists what differs.",
    ),
    "labor_market": (
        "All rows of a region have one `vintage`.",
        "At least 95 % of concentrators are in programs that lead to an occupation listed.",
    ),
}

HEAD = """\
# The standard extracts

What a state agency sends when it sends records instead of published tables: each extract one file a
school year. A state that can send them needs no code in this repository, only a file
`include/states/<state>.yml` that names each extract with `standard: true`, its school years, where
it is, and how many rows are believable. `include/states/zz.yml`, the fictitious state of the demo,
is one to copy, and `python -m include.demo --out FOLDER` writes extracts to compare yours with.

This page is drawn from `include/standard/*.yml`, which are what files are held to.

## What holds for every file

- CSV in UTF-8 with one header line, commas, and quotes where a cell needs them. Headers are the
  column names below; their order is free. A column that is not below is refused and named.
- An empty cell means *nothing to say*. It never means zero, and never N.
- A flag is `Y` or `N`. A date is `2025-06-05`. Money is in US dollars with a point and no commas.
- Identifiers and codes are text: `0010` keeps its zeros. A school year is the year it ends in.
- A file is a full snapshot of its year. It replaces the one before; a row that is no longer there
  is a deletion. Sending the same bytes again changes nothing.
- A row that breaks a promise is set aside with its reason, and the others are loaded. If more than
  the share below break one, or the file has lost more than the share below of its rows, the whole
  file is refused and the last good one stays.
- A row that its own file allows and another one contradicts, such as a course of a student who is
  not enrolled, is set aside by the build that reads both, in school years that both have. If more
  than the share below of a file's rows are contradicted, the build is refused and the last release
  stays, unless a person gives a reason.
- Beside each CSV may lie a manifest of the same name, `.json`, with `rows`, `sha256`, `as_of` (date
  of the snapshot) and `submission` (number). Files that disagree with their manifest are refused.
- Columns marked *personal* are replaced by keyed hashes (HMAC-SHA256 with the agency's own key) on
  the way in, and appear nowhere afterwards. **Send no names, birth dates, addresses or social
  security numbers**: there is no column for them.
"""

_TYPES = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "date": "date",
    "flag": "flag",
}


def extracts() -> dict[str, Extract]:
    """The standard extracts, without what a state adds to them (years, source, rows)."""
    state = {"school_years": [2000], "source": "standard", "rows": [0, 0]}
    return {
        name: Extract(**yaml.safe_load((STANDARD / f"{name}.yml").read_text()), **state)
        for name in ORDER
    }


def page() -> str:
    """The whole contract as Markdown."""
    return "\n".join([HEAD, *(_section(name, it) for name, it in extracts().items())])


def _section(name: str, extract: Extract) -> str:
    rows = [
        f"| `{column}` | {_kind(told)} | {'yes' if told.required else ''} | "
        f"{_accepted(told)} | {_cell(told.description.strip())} |"
        for column, told in extract.columns.items()
    ]
    rules = [f"- {reason}: `{rule}`" for rule, reason in extract.row_rules.items()]
    across = [
        f"- {rule.reason}" + (" (loaded and reported)" if rule.otherwise == "warn" else "")
        for rule in extract.across_rows
    ]
    beside = [
        f"- {rule.reason}: `{rule.column}` is to be {rule.expected}"
        + (" (loaded and reported)" if rule.otherwise == "warn" else "")
        for rule in contradictions.rules(extract)
    ]
    lists = {
        "A row is set aside as one of these where the condition behind it does not hold:": rules,
        "Rows of the file are set aside together where": across,
        "Every build sets a row aside that other files contradict, where": beside,
        "What every build reports:": [f"- {told}" for told in IN_MARTS.get(name, ())],
        "What nothing here looks at, and the sender answers for:": [
            f"- {told}" for told in ACROSS_ROWS.get(name, ())
        ],
    }
    return "\n".join(
        [
            f"## {name}",
            "",
            extract.description.strip(),
            "",
            f"Key: {', '.join(f'`{column}`' for column in extract.key)}. "
            f"Refused if more than {extract.max_bad_rows:.0%} of rows are set aside, or more than "
            f"{extract.max_row_loss:.0%} fewer rows come than last time.",
            "",
            "| column | type | required | accepted | meaning |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            *(line for head, told in lists.items() if told for line in (head, "", *told, "")),
        ]
    )


def _kind(column: Column) -> str:
    return _TYPES[column.type] + (", *personal*" if column.personal else "")


def _accepted(column: Column) -> str:
    told = []
    if isinstance(column.codes, tuple):
        told.append(" ".join(f"`{code}`" for code in column.codes))
    if column.pattern:
        told.append(f"`{_cell(column.pattern)}`")
    if column.is_school_year:
        told.append("the file's school year")
    if column.min is not None or column.max is not None:
        told.append(_range(column.min, column.max))
    if column.masks:
        told.append("or withheld as " + " ".join(f"`{mask}`" for mask in column.masks))
    return ", ".join(told)


def _range(least: float | None, most: float | None) -> str:
    if most is None:
        return f"at least {least:,g}"
    return f"{least:,.12g} to {most:,.12g}"


def _cell(text: str) -> str:
    """Text that a Markdown table can hold."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
