"""Occupations by region: jobs, openings, wages, as a labor market office would give them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from include.demo.extracts import Writers
from include.demo.organizations import REGIONS
from include.demo.plan import Plan

# SOC 2018 code, occupation, jobs in a thousand, median wage, typical education at entry.
OCCUPATIONS = (
    ("11-1021", "General and Operations Managers", 17, 92000, "BACHELOR"),
    ("11-9013", "Farmers and Ranchers", 5, 61000, "HIGH_SCHOOL"),
    ("13-2011", "Accountants and Auditors", 9, 74000, "BACHELOR"),
    ("15-1231", "Computer Network Support Specialists", 2, 66000, "ASSOCIATE"),
    ("15-1252", "Software Developers", 8, 118000, "BACHELOR"),
    ("17-3023", "Electrical Engineering Technicians", 1, 65000, "ASSOCIATE"),
    ("17-2112", "Industrial Engineers", 3, 93000, "BACHELOR"),
    ("25-2011", "Preschool Teachers", 4, 34000, "ASSOCIATE"),
    ("25-9045", "Teaching Assistants", 9, 31000, "SOME_COLLEGE"),
    ("27-1024", "Graphic Designers", 2, 55000, "BACHELOR"),
    ("29-1141", "Registered Nurses", 21, 79000, "BACHELOR"),
    ("29-2052", "Pharmacy Technicians", 4, 37000, "HIGH_SCHOOL"),
    ("29-2061", "Licensed Practical Nurses", 6, 53000, "AWARD"),
    ("31-1131", "Nursing Assistants", 12, 34000, "AWARD"),
    ("31-9092", "Medical Assistants", 6, 38000, "AWARD"),
    ("33-2011", "Firefighters", 3, 48000, "AWARD"),
    ("33-3051", "Police and Sheriff's Patrol Officers", 6, 57000, "HIGH_SCHOOL"),
    ("35-1011", "Chefs and Head Cooks", 1, 54000, "HIGH_SCHOOL"),
    ("35-2014", "Restaurant Cooks", 11, 32000, "NONE"),
    ("39-5012", "Hairdressers and Cosmetologists", 4, 33000, "AWARD"),
    ("41-2031", "Retail Salespersons", 28, 31000, "NONE"),
    ("41-4012", "Sales Representatives", 9, 65000, "HIGH_SCHOOL"),
    ("43-3031", "Bookkeeping Clerks", 10, 45000, "SOME_COLLEGE"),
    ("43-4051", "Customer Service Representatives", 19, 38000, "HIGH_SCHOOL"),
    ("45-2092", "Farmworkers", 3, 33000, "NONE"),
    ("47-2031", "Carpenters", 6, 51000, "HIGH_SCHOOL"),
    ("47-2111", "Electricians", 5, 59000, "HIGH_SCHOOL"),
    ("49-3023", "Automotive Service Technicians", 5, 47000, "AWARD"),
    ("49-9041", "Industrial Machinery Mechanics", 3, 60000, "HIGH_SCHOOL"),
    ("51-4041", "Machinists", 2, 50000, "HIGH_SCHOOL"),
    ("51-4121", "Welders, Cutters, Solderers and Brazers", 3, 48000, "HIGH_SCHOOL"),
    ("53-3032", "Heavy and Tractor-Trailer Truck Drivers", 14, 52000, "AWARD"),
    ("53-7065", "Stockers and Order Fillers", 18, 35000, "HIGH_SCHOOL"),
)

# Of these there are fewer jobs each year, and few of them come free.
IN_DECLINE = frozenset({"29-2052", "43-3031", "45-2092", "51-4041"})

# CIP 2020 code to the occupations of the list above that it leads to.
LEADS_TO = {
    "01.0302": ("11-9013", "45-2092"),
    "01.0601": ("45-2092",),
    "11.0201": ("15-1252",),
    "11.0901": ("15-1231",),
    "12.0401": ("39-5012",),
    "12.0503": ("35-1011", "35-2014"),
    "13.1210": ("25-2011", "25-9045"),
    "15.0000": ("17-3023",),
    "43.0107": ("33-3051",),
    "43.0203": ("33-2011",),
    "44.0401": ("11-1021",),
    "46.0201": ("47-2031",),
    "46.0302": ("47-2111",),
    "47.0604": ("49-3023",),
    "48.0501": ("51-4041", "49-9041"),
    "48.0508": ("51-4121",),
    "50.0409": ("27-1024",),
    "51.0801": ("31-9092",),
    "51.0805": ("29-2052",),
    "51.3902": ("31-1131",),
    "52.0201": ("11-1021",),
    "52.0203": ("53-7065", "53-3032"),
    "52.0302": ("43-3031",),
    "52.1801": ("41-2031", "41-4012", "43-4051"),
}
# The code under which the crosswalk lists occupations without a program.
NO_PROGRAM = "99.9999"

# What each of them leads to is in decline, pays less than the median and asks for no more than high
# school: none of the three that a program may be aligned with, in whatever region.
NOT_ALIGNED = frozenset({"01.0601", "51.0805"})


def write_crosswalk(year: int, writers: Writers) -> None:
    """Write which programs lead to which occupations: few, of the many that the real file has.

    Like the real file, it has every occupation: those that no program leads to under NO_PROGRAM.
    """
    titles = {soc: title.replace(",", "") for soc, title, *_ in OCCUPATIONS}
    reached = {soc for found in LEADS_TO.values() for soc in found}
    others = tuple(soc for soc in titles if soc not in reached)
    leads_to = LEADS_TO | {NO_PROGRAM: others}
    pairs = [(cip, soc, titles[soc]) for cip, found in leads_to.items() for soc in found]
    columns = zip(("cip", "soc", "soc_title"), zip(*pairs, strict=True), strict=True)
    writers[year, "cip_soc"].write({name: pa.array(values) for name, values in columns})


def write(plan: Plan, year: int, writers: Writers) -> None:
    """Write the figures that the year uses: of the calendar year before it, all of one vintage."""
    rng = plan.rng(5)
    jobs_per_region = plan.students * 1.9 / len(REGIONS)
    rows = []
    for region in REGIONS:
        regional = rng.uniform(0.9, 1.12)
        for soc, title, thousandth, wage, education in OCCUPATIONS:
            jobs = max(10, round(jobs_per_region * thousandth / 1000 * rng.uniform(0.6, 1.5), -1))
            growth, turnover = rng.normal(0.04, 0.06), rng.uniform(0.08, 0.16)
            if soc in IN_DECLINE:
                growth, turnover = -abs(growth) - 0.03, turnover / 4
            median = wage * regional * 1.03 ** (year - plan.years[0])
            # Few jobs: the office does not release wages.
            wages = (
                [f"{median * share:.0f}" for share in (0.81, 1, 1.27)] if jobs >= 20 else ["*"] * 3
            )
            rows.append(
                (region, soc, title.replace(",", ""), f"{jobs:.0f}", f"{jobs * (1 + growth):.0f}",
                 f"{jobs * turnover:.0f}", *wages, education)
            )  # fmt: skip
    names = (
        "region", "soc", "occupation", "employment", "projected_employment", "openings",
        "wage_p25", "wage_median", "wage_p75", "entry_education",
    )  # fmt: skip
    columns = dict(zip(names, map(pa.array, zip(*rows, strict=True)), strict=True))
    columns["school_year"] = pa.array(np.full(len(rows), year))
    columns["vintage"] = pa.array([str(year - 1)] * len(rows))
    writers[year, "labor_market"].write(columns)
